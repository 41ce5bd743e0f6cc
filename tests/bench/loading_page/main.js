/**
 * The loading benchmark's page: runs what its address asks for and reports every figure to the server as it comes.
 * #store=<JSON> measures a synthetic store, #picture=<JSON> the first picture of a synthetic model, #start=<JSON> a packaged site.
 */

/** @param {object} message one event for the server */
export async function report(message) {
  await fetch("/bench/report", { method: "POST", body: JSON.stringify(message) });
}

/** @param {"store"|"picture"} kind @param {any} options @returns {Promise<void>} */
async function measureInWorker(kind, options) {
  /** @type {Promise<void>[]} */
  const reports = [];
  const { promise, resolve, reject } = Promise.withResolvers();
  // The server's security policy takes script addresses from this one policy only.
  const policy = /** @type {any} */ (globalThis).trustedTypes.createPolicy("app", { createScriptURL: (/** @type {string} */ url) => url });
  const worker = new Worker(policy.createScriptURL(new URL(`./${kind}_worker.js`, import.meta.url).href), { type: "module" });
  worker.addEventListener("message", ({ data }) => {
    if (data.type === "end") resolve(undefined);
    else reports.push(report(data));
  });
  worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker did not start")));
  worker.postMessage(options);
  await promise;
  await Promise.all(reports);
}

try {
  const [kind, json] = decodeURIComponent(location.hash.slice(1)).split(/=(.*)/s);
  const options = JSON.parse(json ?? "{}");
  if (kind === "store" || kind === "picture") await measureInWorker(kind, options);
  else await (await import("./start.js")).measureStart(options, report);
  await report({ type: "end" });
} catch (error) {
  await report({ type: "error", message: String(error instanceof Error ? error.stack ?? error.message : error) });
}
