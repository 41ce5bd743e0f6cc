/**
 * From the click to the first submit, on a packaged site: a first visit that downloads, one that finds everything in OPFS, one with
 * the weights on the GPU, and a prompt that was asked for before.
 */

/** @typedef {{ workerClient: string, worker: string, manifest: string, width: number, height: number, steps: number }} Options */

const PROMPT = "a lighthouse at dusk";
const BEFORE_SUBMIT = new Set(["download", "tuning", "loading"]);

/**
 * @param {Options} options addresses of the site's modules, and the picture
 * @param {(message: object) => Promise<void>} report
 */
export async function measureStart({ workerClient, worker, manifest, width, height, steps }, report) {
  const { WorkerClient } = await import(workerClient);
  let client = new WorkerClient(worker);
  let started = false;

  /** Makes a picture. @param {string} label @param {string} prompt */
  const picture = async (label, prompt) => {
    const click = performance.now();
    /** @type {{ stage: string, seconds: number } | undefined} */
    let first;
    const onProgress = (/** @type {import("../../../src_js/protocol.js").Progress} */ { stage }) => {
      if (!BEFORE_SUBMIT.has(stage)) first ??= { stage, seconds: (performance.now() - click) / 1000 };
    };
    if (!started) await client.start({ manifestUrl: manifest, precision: "auto" }, onProgress);
    started = true;
    await client.generate({ prompt, width, height, seed: 7n, steps, latents: null }, { onProgress });
    const { stage = "none", seconds = NaN } = first ?? {};
    await report({ type: "time", label: `${label}: click to first submit (${stage})`, seconds });
    await report({ type: "time", label: `${label}: whole picture`, seconds: (performance.now() - click) / 1000 });
  };
  const reload = () => {
    client.terminate();
    client = new WorkerClient(worker);
    started = false;
  };
  await picture("first visit", PROMPT);
  reload();
  await picture("weights in OPFS, another prompt", `${PROMPT}, fog`);
  await picture("model in use, another prompt", `${PROMPT}, rain`);
  await picture("model in use, the same prompt", `${PROMPT}, rain`);
  reload();
  await picture("weights and prompt in OPFS", `${PROMPT}, rain`);
  client.terminate();
}
