/** A download that an earlier visit left unfinished and nobody asked for in this one: it makes way for every picture. No DOM. */

/**
 * @template Download
 * @typedef {object} Parts
 * @property {() => Download | undefined} find what there is to go on with
 * @property {(download: Download) => Promise<void>} act never rejected, settled when it has ended in any way
 * @property {() => void} stop what `act` does
 * @property {boolean} busy whether a picture is being made
 */

/** @template Download */
export class GoingOn {
  #running = false;
  #again = false;
  #busy;
  #parts;

  /** @param {Parts<Download>} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#busy = parts.busy;
    void this.#run();
  }

  /** @param {boolean} busy whether a picture is being made */
  setBusy(busy) {
    this.#busy = busy;
    if (!this.#running) void this.#run();
    else if (busy) this.#parts.stop();
    else this.#again = true;                               // it has not yet ended for the picture that already has
  }

  async #run() {
    const download = this.#busy ? undefined : this.#parts.find();
    if (download === undefined) return;
    this.#running = true;
    await this.#parts.act(download);
    this.#running = false;
    const again = this.#again;
    this.#again = false;
    if (again) await this.#run();
  }
}
