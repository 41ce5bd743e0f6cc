/**
 * The benchmark page's entry: joins its view to its worker, for people and for `serve.py bench`.
 */

import { checkOptions } from "../bench_protocol.js";
import { asKleinbildError } from "../errors.js";
import { BenchClient } from "./bench_client.js";
import { BenchView } from "./bench_view.js";
import { findGpu } from "./capabilities.js";
import { element } from "./elements.js";
import { openLanguage } from "./language.js";
import { Store } from "./store.js";

/** @typedef {import("../bench_protocol.js").BenchResult} BenchResult */

/** @type {{ build: string, languages: string[] }} */
const { build, languages } = JSON.parse(element("kleinbild", HTMLScriptElement).text);
const client = new BenchClient(new URL("../worker/bench.js", import.meta.url));
/** @type {BenchResult | undefined} */
let result;

const view = new BenchView(await openLanguage(new Store(), languages), {
  onStart: (quick) => void start(quick),
  onCancel: () => client.cancel(),
  onCopy: () => navigator.clipboard.writeText(JSON.stringify(result, null, 2)),
});

/** @param {boolean} quick */
async function start(quick) {
  view.begin();
  try {
    result = await client.run(checkOptions({ quick, build }), {
      onProgress: (progress) => view.showProgress(progress),
      onRow: (row) => view.addRow(row),
    });
    view.finish(result);
  } catch (error) {
    view.fail(asKleinbildError(error));
  }
}

async function openForPeople() {
  const { problem } = await findGpu(navigator.gpu);
  if (problem) view.fail(problem);
  else view.ready();
}

/** A run that `serve.py bench` drives; the view takes part, so that the page is as busy as it is for people. @param {string} token */
async function openHeadless(token) {
  const { runBenchHeadless } = await import("./bench_headless.js");
  await runBenchHeadless(token, { client, view, build });
}

const token = /^#headless=([A-Za-z0-9_-]+)$/.exec(location.hash)?.[1];
const opened = token === undefined ? openForPeople() : openHeadless(token);
opened.catch((error) => view.fail(asKleinbildError(error)));
