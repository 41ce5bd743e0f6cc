/**
 * The page's part in `serve.py generate`: take one job from the server that started this browser, make the picture,
 * send everything back over one WebSocket. No page is drawn, nobody looks. The server's part, which checks each message,
 * is kleinbild/server/generate/{session,messages}.py.
 */

import { KleinbildError, asKleinbildError } from "../errors.js";

/**
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
 * @property {boolean} trace
 * @property {boolean} latents
 */

/**
 * Serves one job and returns when the server has all of it, or its error. Never throws.
 * @param {string} token from the page's address: lets us, and nobody else, in
 * @param {{ client: WorkerClient, manifestUrl: string }} options
 */
export async function runHeadless(token, { client, manifestUrl }) {
  const channel = new Channel(`/headless/${encodeURIComponent(token)}`);
  // Faults outside our own calls (a script that does not load, a lost promise) would else be silence until a timeout.
  const onFault = (/** @type {ErrorEvent | PromiseRejectionEvent} */ event) => {
    channel.sendError("reason" in event ? event.reason : (event.error ?? event.message));
  };
  addEventListener("error", onFault);
  addEventListener("unhandledrejection", onFault);
  client.onFailure = (error) => channel.sendError(error);
  channel.onClosed = () => {
    client.terminate();
    // Ends a headless browser whose server is gone; a tab that a person opened stays.
    window.close();
  };
  try {
    await serveJob(channel, client, manifestUrl);
  } catch (error) {
    channel.sendError(error);
  } finally {
    removeEventListener("error", onFault);
    removeEventListener("unhandledrejection", onFault);
    client.terminate();
    await channel.finish();
  }
}

/** @param {Channel} channel @param {WorkerClient} client @param {string} manifestUrl */
async function serveJob(channel, client, manifestUrl) {
  const job = await channel.receiveJob();
  const latents = job.latents ? new Float32Array(await channel.receiveBytes()) : null;
  const onProgress = (/** @type {Progress} */ { stage, step, steps, fraction }) => {
    channel.send({ type: "progress", stage, step, steps, fraction });
  };
  const info = await client.start({ manifestUrl, precision: job.precision }, onProgress);
  channel.send({ type: "info", text: describe(info) });

  const { prompt, width, height, steps } = job;
  const settings = { prompt, width, height, seed: BigInt(job.seed), steps, latents };
  /** @type {Parameters<WorkerClient["generate"]>[1]} */
  const options = { onProgress };
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

/** The WebSocket as an ordered queue of received frames, and senders that are quiet once it is closed. */
class Channel {
  /** @type {(string | ArrayBuffer)[]} */
  #frames = [];
  /** @type {(() => void) | undefined} */
  #wake;
  #failed = false;

  /** @param {string} path */
  constructor(path) {
    /** @type {(() => void) | undefined} called when the server goes away */
    this.onClosed = undefined;
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${path}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }) => {
      this.#frames.push(data);
      this.#wake?.();
    });
    /** @type {Promise<void>} */
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener("close", () => {
        resolve();
        this.#wake?.();
        this.onClosed?.();
      });
    });
  }

  /** @returns {Promise<Job>} */
  async receiveJob() {
    const frame = await this.#receive();
    if (typeof frame !== "string") throw new KleinbildError("internal", "The server sent no job.");
    return JSON.parse(frame);
  }

  /** @returns {Promise<ArrayBuffer>} */
  async receiveBytes() {
    const frame = await this.#receive();
    if (typeof frame === "string") throw new KleinbildError("internal", "The server sent text in place of data.");
    return frame;
  }

  async #receive() {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.socket.readyState >= WebSocket.CLOSING) throw new KleinbildError("cancelled", "The server went away.");
      await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    }
  }

  /** @param {Record<string, unknown>} message */
  send(message) {
    if (!this.#failed && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** @param {ArrayBuffer | ArrayBufferView} data */
  sendBytes(data) {
    if (!this.#failed && this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(/** @type {ArrayBuffer} */ (data));
    }
  }

  /** @param {unknown} cause The first error is the one that is told; nothing follows it. */
  sendError(cause) {
    const { code, message } = asKleinbildError(cause);
    this.send({ type: "error", code, message });
    this.#failed = true;
  }

  /** Waits until the server has taken everything: it is the one that closes. */
  async finish() {
    await this.closed;
  }
}
