/**
 * What the models' worker does with each message: lists at any time, one piece of work beside that. News of progress are spaced, and go on
 * while nothing happens, so that the page can tell a slow server from a broken page. The library and the page's files are passed in.
 */

import { KleinbildError, asKleinbildError } from "../errors.js";
import { exportModel } from "../storage/export.js";
import { filesOfDirectory, filesOfList } from "../storage/folder.js";
import { importModels } from "../storage/import.js";

/**
 * @typedef {import("../models_protocol.js").ToModelsWorker} ToModelsWorker
 * @typedef {import("../models_protocol.js").ModelWork} ModelWork
 * @typedef {import("../models_protocol.js").ModelWorkResult} ModelWorkResult
 * @typedef {import("../storage/library.js").ModelLibrary} ModelLibrary
 *
 * @typedef {object} ModelsParts
 * @property {() => Promise<ModelLibrary>} library
 * @property {import("../storage/export.js").Page} page
 * @property {(message: import("../models_protocol.js").FromModelsWorker) => void} post
 */

/** Between two news of progress. */
const NEWS_MS = 100;
/** Between two news while nothing happens. */
const IDLE_MS = 1000;

export class ModelsController {
  #parts;
  /** @type {{ job: number, abort: AbortController, pause: boolean } | undefined} */
  #running;

  /** @param {ModelsParts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** @param {ToModelsWorker} message @returns {Promise<void>} settled, never rejected, when the message's work is done */
  async handle(message) {
    const { job } = message;
    if (message.type === "stop") {
      if (this.#running?.job !== job) return;
      this.#running.pause = message.pause;
      this.#running.abort.abort();
      return;
    }
    try {
      const library = await this.#parts.library();
      if (message.type === "list") this.#parts.post({ type: "listed", job, inventory: await library.list() });
      else this.#parts.post({ type: "done", job, result: await this.#alone(library, message) });
    } catch (caught) {
      const { code, message: text } = asKleinbildError(caught);
      this.#parts.post({ type: "error", job, code, message: text });
    }
  }

  /** @param {ModelLibrary} library @param {ModelWork} message */
  async #alone(library, message) {
    if (this.#running) throw new KleinbildError("bad-input", "One thing at a time: the models are being worked on.");
    const running = { job: message.job, abort: new AbortController(), pause: false };
    this.#running = running;
    const news = new News((progress) => this.#parts.post({ type: "progress", job: message.job, ...progress }));
    try {
      const watching = { signal: running.abort.signal, onProgress: news.tell.bind(news) };
      return await this.#work(library, message, { ...watching, paused: () => running.pause });
    } finally {
      news.end();
      this.#running = undefined;
    }
  }

  /**
   * @param {ModelLibrary} library @param {ModelWork} message
   * @param {{ signal: AbortSignal, onProgress: (progress: import("../storage/shard_store.js").InstallProgress) => void, paused: () => boolean }} watching
   * @returns {Promise<ModelWorkResult>}
   */
  async #work(library, message, watching) {
    switch (message.type) {
      case "install":
        await library.install(message.id, { ...watching, replaces: message.replaces });
        return {};
      case "verify":
        return { verified: await library.verify(message.id, watching) };
      case "repair":
        await library.repair(message.id, message.names, watching);
        return {};
      case "remove":
        await library.remove(message.id);
        return {};
      case "clean":
        await library.clean();
        return {};
      case "import-folder": {
        const { directory, files } = message;
        return { imported: await importModels(library, directory ? await filesOfDirectory(directory) : filesOfList(files ?? []), watching) };
      }
      case "export-folder":
        return exportModel(library, message.id, message.directory, { ...watching, page: this.#parts.page });
    }
  }
}

/** Progress as the page is told of it. */
class News {
  #post;
  #last = { bytes: 0, totalBytes: 0, files: 0, totalFiles: 0, problem: "" };
  #told = -Infinity;
  #moved = performance.now();
  #timer = setInterval(() => this.#send(), IDLE_MS);

  /** @param {(progress: import("../models_protocol.js").ModelProgress) => void} post */
  constructor(post) {
    this.#post = post;
  }

  /** @param {import("../storage/shard_store.js").InstallProgress} progress */
  tell(progress) {
    const now = performance.now();
    if (progress.bytes > this.#last.bytes || progress.files > this.#last.files) this.#moved = now;
    this.#last = progress;
    if (now - this.#told >= NEWS_MS || progress.problem || progress.bytes === progress.totalBytes) this.#send();
  }

  /** The last state is told once more. */
  end() {
    clearInterval(this.#timer);
    this.#send();
  }

  #send() {
    const now = performance.now();
    this.#told = now;
    if (this.#last.totalFiles > 0) this.#post({ ...this.#last, idleSeconds: (now - this.#moved) / 1000 });
  }
}
