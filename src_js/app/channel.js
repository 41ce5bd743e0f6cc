/**
 * The conversation of a page with the server that started its browser: one WebSocket, frames in order.
 */

import { KleinbildError, asKleinbildError } from "../errors.js";

/**
 * Works for the server and returns when it has all of it, or the error, and has closed. Never throws.
 * @param {string} token from the page's address: lets us, and nobody else, in
 * @param {object} parts
 * @param {(channel: Channel) => Promise<void>} parts.work
 * @param {() => void} parts.end stops what the work may have left running
 * @param {(fail: (cause: unknown) => void) => void} [parts.watch] joins failures that reach nobody else
 */
export async function converse(token, { work, end, watch }) {
  const channel = new Channel(`/headless/${encodeURIComponent(token)}`);
  // Faults outside our own calls (a script that does not load, a lost promise) would else be silence until a timeout.
  const onFault = (/** @type {ErrorEvent | PromiseRejectionEvent} */ event) => {
    channel.sendError("reason" in event ? event.reason : (event.error ?? event.message));
  };
  addEventListener("error", onFault);
  addEventListener("unhandledrejection", onFault);
  watch?.((cause) => channel.sendError(cause));
  channel.onClosed = () => {
    end();
    // Ends a headless browser whose server is gone; a tab that a person opened stays.
    window.close();
  };
  try {
    await work(channel);
  } catch (error) {
    channel.sendError(error);
  } finally {
    removeEventListener("error", onFault);
    removeEventListener("unhandledrejection", onFault);
    end();
    await channel.finish();
  }
}

/** The WebSocket as an ordered queue of received frames, and senders that are quiet once it is closed. */
export class Channel {
  /** @type {(string | ArrayBuffer)[]} */
  #frames = [];
  /** @type {(() => void) | undefined} */
  #wake;
  #failed = false;

  /** @param {string} path @param {string[]} [protocols] of the WebSocket */
  constructor(path, protocols = []) {
    /** @type {((code: number) => void) | undefined} called when the server goes away, or is left */
    this.onClosed = undefined;
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${path}`, protocols);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }) => {
      this.#frames.push(data);
      this.#wake?.();
    });
    /** @type {Promise<void>} */
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener("close", ({ code }) => {
        resolve();
        this.#wake?.();
        this.onClosed?.(code);
      });
    });
  }

  /** @returns {Promise<unknown>} what the server, our own, wants */
  async receiveMessage() {
    const frame = await this.#receive();
    if (typeof frame !== "string") throw new KleinbildError("internal", "The server sent data in place of a message.");
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

  /** Leaves the server. */
  close() {
    this.socket.close();
  }

  /** Waits until the server has taken everything: it is the one that closes. */
  async finish() {
    await this.closed;
  }
}
