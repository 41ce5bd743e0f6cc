/**
 * The benchmark's worker: runs the suite on a GPU device of its own and tells the page every row. The page ends it to cancel.
 */

import { runBench } from "../bench/suite.js";
import { KleinbildError, asKleinbildError } from "../errors.js";

/**
 * @typedef {import("../bench_protocol.js").FromBench} FromBench
 * @typedef {import("../bench_protocol.js").ToBench} ToBench
 * @typedef {import("../bench_protocol.js").BenchOptions} BenchOptions
 */

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
/** @type {Map<ToBench["type"], (message: ToBench) => void>} what waits for the page's answer */
const waiting = new Map();

/** @param {FromBench} message */
const post = (message) => scope.postMessage(message);

scope.addEventListener("message", (/** @type {MessageEvent<ToBench>} */ { data }) => {
  if (data.type === "run") void run(data.options);
  else waiting.get(data.type)?.(data);
});
scope.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  fail(event.reason);
});

/** @param {BenchOptions} options */
async function run(options) {
  try {
    const machine = { userAgent: navigator.userAgent, browser: await browserVersion() };
    const result = await runBench({ gpu: navigator.gpu, readKernel, readModel, machine }, options, {
      onProgress: (progress) => post({ type: "progress", ...progress }),
      onRow: (row) => post({ type: "row", row }),
      page: {
        click: async () => /** @type {import("../bench_protocol.js").ClickedMessage} */ (await ask("await-click", "clicked")).at,
        frames: async () => /** @type {import("../bench_protocol.js").FramesMessage} */ (await ask("await-frames", "frames")).frames,
      },
    });
    post({ type: "result", result });
  } catch (error) {
    fail(error);
  }
}

/** @param {unknown} error */
function fail(error) {
  const { code, message } = asKleinbildError(error);
  post({ type: "error", code, message });
}

/** @param {"await-click"|"await-frames"} question @param {ToBench["type"]} answer @returns {Promise<ToBench>} */
function ask(question, answer) {
  return new Promise((resolve) => {
    waiting.set(answer, resolve);
    post({ type: question });
  });
}

/**
 * What Chromium tells of itself where it is asked; not in TypeScript's library yet.
 * @typedef {{fullVersionList?: {brand: string, version: string}[]}} BrowserFacts
 * @typedef {{getHighEntropyValues?: (hints: string[]) => Promise<BrowserFacts>}} UserAgentData
 */

/** @returns {Promise<string>} name and full version, "" where the browser does not tell */
async function browserVersion() {
  const data = /** @type {{userAgentData?: UserAgentData}} */ (navigator).userAgentData;
  /** @type {BrowserFacts} */
  const facts = (await data?.getHighEntropyValues?.(["fullVersionList"]).catch(() => undefined)) ?? {};
  const named = (facts.fullVersionList ?? []).filter(({ brand }) => !/not.*brand/i.test(brand));
  return named.map(({ brand, version }) => `${brand} ${version}`).join(", ");
}

/** @param {string} name @returns {Promise<string>} WGSL source */
const readKernel = async (name) => (await fetchFile(`../kernels/${name}.wgsl`)).text();

/** @param {string} name @returns {Promise<import("../manifest.js").ModelConfig>} a file of this build, so as good as its code */
const readModel = async (name) => (await fetchFile(`../bench/${name}.json`)).json();

/** @param {string} path */
async function fetchFile(path) {
  const url = new URL(path, import.meta.url);
  const response = await fetch(url);
  if (!response.ok) {
    throw new KleinbildError("download-failed", `${url.pathname} could not be fetched: the server answered ${response.status}.`);
  }
  return response;
}
