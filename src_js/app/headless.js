/**
 * The page's part in `serve.py generate`: take one job from the server that started this browser, make the picture,
 * send everything back over one WebSocket. No page is drawn, nobody looks. The server's part, which checks each message,
 * is kleinbild/server/generate/{session,messages}.py.
 */

import { converse } from "./channel.js";

/**
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {import("./worker_client.js").WorkerClient} WorkerClient
 * @typedef {import("../protocol.js").Progress} Progress
 * @typedef {import("../protocol.js").ReadyInfo} ReadyInfo
 */

/**
 * The job as the server sends it. seed is decimal: a JSON number holds no 64 bits. When `latents` is true the next
 * frame is binary: f32 [C, height/16, width/16], little endian.
 * @typedef {object} Job
 * @property {"job"} type
 * @property {string} prompt
 * @property {number} width
 * @property {number} height
 * @property {string} seed
 * @property {number} steps
 * @property {import("../protocol.js").Precision} precision
 * @property {number | null} memoryBudget bytes of GPU memory, null for what the GPU's facts suggest
 * @property {boolean} trace
 * @property {boolean} latents
 */

/**
 * Serves one job and returns when the server has all of it, or its error. Never throws.
 * @param {string} token from the page's address: lets us, and nobody else, in
 * @param {{ client: WorkerClient, manifestUrl: string }} options
 */
export async function runHeadless(token, { client, manifestUrl }) {
  await converse(token, {
    work: (channel) => serveJob(channel, client, manifestUrl),
    end: () => client.terminate(),
    watch: (fail) => (client.onFailure = fail),
  });
}

/** @param {Channel} channel @param {WorkerClient} client @param {string} manifestUrl */
async function serveJob(channel, client, manifestUrl) {
  const job = /** @type {Job} */ (await channel.receiveJob());
  const latents = job.latents ? new Float32Array(await channel.receiveBytes()) : null;
  const onProgress = (/** @type {Progress} */ { stage, step, steps, fraction }) => {
    channel.send({ type: "progress", stage, step, steps, fraction });
  };
  const info = await client.start({ manifestUrl, precision: job.precision }, onProgress);
  channel.send({ type: "info", text: describe(info) });

  const { prompt, width, height, steps } = job;
  const settings = { prompt, width, height, seed: BigInt(job.seed), steps, latents };
  /** @type {Parameters<WorkerClient["generate"]>[1]} */
  const options = { onProgress, memoryBudget: job.memoryBudget };
  if (job.trace) {
    options.onTrace = (name, { dtype, shape, data }) => {
      channel.send({ type: "trace", name, dtype, shape });
      channel.sendBytes(data);
    };
  }
  const result = await client.generate(settings, options);
  channel.send({ type: "result", width: result.width, height: result.height });
  channel.sendBytes(result.png);
}

/** @param {ReadyInfo} info @returns {string} */
function describe({ vendor, architecture, description, precision }) {
  const adapter = [vendor, architecture, description].filter((word) => word !== "").join(" ");
  return `${adapter || "unnamed GPU"}, ${precision}`;
}
