/**
 * The accuracy page: hands what its address asks for (#<JSON>) to the worker and tells the server when all is said.
 */

/** @param {object} message one event for the server */
async function report(message) {
  await fetch("/bench/report", { method: "POST", body: JSON.stringify(message) });
}

// The server's security policy takes script addresses from this one policy only.
const policy = /** @type {any} */ (globalThis).trustedTypes.createPolicy("app", { createScriptURL: (/** @type {string} */ url) => url });
const worker = new Worker(policy.createScriptURL(new URL("./worker.js", import.meta.url).href), { type: "module" });
worker.addEventListener("message", ({ data }) => void report(data));
worker.addEventListener("error", (event) => void report({ type: "error", message: event.message || "the worker did not start" }));
worker.postMessage(JSON.parse(decodeURIComponent(location.hash.slice(1))));
