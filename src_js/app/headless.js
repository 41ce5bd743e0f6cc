/**
 * The page's part in `serve.py generate` and `serve.py --api`: start the model, then make one picture after another for the server that
 * started this browser, until it closes the WebSocket. No page is drawn, nobody looks. The server's part, which checks each message, is
 * kleinbild/server/generate/{session,messages}.py.
 */

import { KleinbildError, asKleinbildError } from "../errors.js";
import { encodePng } from "../image/png.js";
import { converse } from "./channel.js";

/**
 * @typedef {import("./channel.js").Channel} Channel
 * @typedef {Pick<Channel, "send"|"sendBytes">} Sender
 * @typedef {import("./worker_client.js").WorkerClient} WorkerClient
 * @typedef {import("../protocol.js").Progress} Progress
 * @typedef {import("../protocol.js").ReadyInfo} ReadyInfo
 * @typedef {Pick<ReadyInfo, "vendor"|"architecture"|"description"> & { precision: import("../protocol.js").Precision }} GpuName
 */

/**
 * What makes the pictures: a worker's client, or a page that has pictures of its own to make, too.
 * @typedef {Pick<WorkerClient, "generate"|"cancel"|"plan"> & { start: (...args: Parameters<WorkerClient["start"]>) => Promise<GpuName> }} Maker
 */

/**
 * A job as the server sends it, after {"type": "start", precision}. seed is decimal: a JSON number holds no 64 bits. When `latents` is
 * true the next frame is binary: f32 [C, height/16, width/16], little endian.
 * @typedef {object} Job
 * @property {"job"} type
 * @property {number} job its number, which its answer carries
 * @property {string} prompt
 * @property {number} width
 * @property {number} height
 * @property {string} seed
 * @property {number} steps
 * @property {number | null} memoryBudget bytes of GPU memory, null for what the GPU's facts suggest
 * @property {boolean} preview whether previews are wanted, each a message and a binary frame, its PNG
 * @property {boolean} trace
 * @property {boolean} latents
 */

/** @typedef {{ type: "cancel", job: number }} Cancel of the job in hand; one that is answered already is let be */

/**
 * Serves jobs until the server closes, or tells why there can be none. Never throws.
 * @param {string} token from the page's address: lets us, and nobody else, in
 * @param {{ client: WorkerClient, manifestUrl: string }} options
 */
export async function runHeadless(token, { client, manifestUrl }) {
  await converse(token, {
    work: (channel) => serveJobs(channel, client, manifestUrl),
    end: () => client.terminate(),
    watch: (fail) => (client.onFailure = fail),
  });
}

/**
 * @param {Pick<Channel, "receiveMessage"|"receiveBytes"|"send"|"sendBytes">} channel
 * @param {Maker} client
 * @param {string} manifestUrl
 * @returns {Promise<never>} rejected when the server goes away
 */
export async function serveJobs(channel, client, manifestUrl) {
  const { precision } = /** @type {{ precision: import("../protocol.js").Precision }} */ (await channel.receiveMessage());
  const info = await client.start({ manifestUrl, precision }, progressTo(channel));
  channel.send({ type: "info", text: describe(info) });
  /** @type {number | null} */
  let running = null;
  /** @type {Set<string>} */
  const told = new Set();
  for (;;) {
    const message = /** @type {Job | Cancel} */ (await channel.receiveMessage());
    if (message.type === "cancel") {
      if (message.job === running) client.cancel();
      continue;
    }
    if (running !== null) throw new KleinbildError("internal", "The server sent a job before the last one was answered.");
    const latents = message.latents ? new Float32Array(await channel.receiveBytes()) : null;
    running = message.job;
    void serveJob(channel, client, message, latents).then(() => {
      running = null;
      const { width, height, steps, memoryBudget, preview } = message;
      const asked = { manifestUrl, precision, picture: { width, height, steps }, memoryBudget, preview };
      const key = JSON.stringify(asked);
      if (!told.has(key)) void tellMemory(channel, client, asked);
      told.add(key);
    });
  }
}

/** Never throws. @param {Sender} channel @param {Maker} client @param {Job} asked @param {Float32Array | null} latents */
async function serveJob(channel, client, asked, latents) {
  const { job, prompt, width, height, steps } = asked;
  let previews = Promise.resolve();
  try {
    const settings = { prompt, width, height, seed: BigInt(asked.seed), steps, latents };
    /** @type {Parameters<WorkerClient["generate"]>[1]} */
    const options = { onProgress: progressTo(channel), memoryBudget: asked.memoryBudget };
    if (asked.trace) {
      options.onTrace = (name, { dtype, shape, data }) => {
        channel.send({ type: "trace", name, dtype, shape });
        channel.sendBytes(data);
      };
    }
    if (asked.preview) {
      options.onPreview = (preview) => {
        previews = previews.then(() => sendPreview(channel, job, preview));
      };
    }
    const result = await client.generate(settings, options);
    await previews;
    channel.send({ type: "result", job, width: result.width, height: result.height, seconds: result.seconds });
    channel.sendBytes(result.png);
  } catch (error) {
    await previews.catch(() => undefined);                 // after its answer a job says nothing more
    const { code, message } = asKleinbildError(error);
    channel.send({ type: "error", job, code, message });
  }
}

/** @param {Sender} channel @param {number} job @param {import("./worker_client.js").Preview} preview */
async function sendPreview(channel, job, { step, width, height, rgba }) {
  const png = await encodePng({ width, height, rgba });
  channel.send({ type: "preview", job, step, width, height });
  channel.sendBytes(png);
}

/**
 * After the first picture of a kind, what its kind needs of the GPU's memory: nobody waits for that, and without it nothing is wrong.
 * @param {Sender} channel
 * @param {Maker} client
 * @param {Parameters<WorkerClient["plan"]>[0]} asked
 */
async function tellMemory(channel, client, asked) {
  try {
    const { least, whole, budget } = await client.plan(asked);
    channel.send({ type: "memory", least, whole, budget });
  } catch {
    // The picture itself tells what is wrong, if something is.
  }
}

/** @param {Sender} channel @returns {(progress: Progress) => void} */
function progressTo(channel) {
  return ({ stage, step, steps, fraction }) => channel.send({ type: "progress", stage, step, steps, fraction });
}

/** @param {GpuName} info @returns {string} */
function describe({ vendor, architecture, description, precision }) {
  const adapter = [vendor, architecture, description].filter((word) => word !== "").join(" ");
  return `${adapter || "unnamed GPU"}, ${precision}`;
}
