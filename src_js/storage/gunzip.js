/**
 * Unpacks one gzip member, as it arrives, into memory of the size that was promised. What does not unpack to exactly that, or is
 * followed by anything, is refused; what unpacks to more is stopped at once, so that a small file cannot fill the memory.
 */

/** A file that arrived whole and is not what was promised. */
export class Damaged extends Error {}

/** Unpacks to more than was promised: no accident of the way, so asking again is no use. */
export class TooLong extends Damaged {}

/** Given to the browser at once: what a malicious file makes of it, at most a thousand times as much, must fit the memory. */
const SLICE_BYTES = 32 * 1024;
/** A gzip member ends with the length of what is in it. */
const LENGTH_BYTES = 4;

export class Gunzip {
  #stream = new DecompressionStream("gzip");
  #writer = this.#stream.writable.getWriter();
  #target;
  #filled = 0;
  #tail = new Uint8Array();
  /** Settles when all that was written is unpacked. @type {Promise<void>} */
  #reading;
  /** Rejects when that fails. @type {Promise<never>} */
  #failure;

  /** @param {Uint8Array<ArrayBuffer>} target gets the plain bytes, which must fill it */
  constructor(target) {
    this.#target = target;
    this.#writer.closed.catch(() => {});                 // told by `write` and `end`
    this.#writer.ready.catch(() => {});
    this.#reading = this.#read();
    this.#failure = new Promise((_, reject) => this.#reading.catch(reject));
    this.#failure.catch(() => {});
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes the next ones @throws {Damaged} */
  async write(bytes) {
    const tail = new Uint8Array(this.#tail.length + Math.min(bytes.length, LENGTH_BYTES));
    tail.set(this.#tail);
    tail.set(bytes.subarray(-LENGTH_BYTES), this.#tail.length);
    this.#tail = tail.subarray(-LENGTH_BYTES);
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) await this.#unless(this.#writer.write(bytes.subarray(at, at + SLICE_BYTES)));
  }

  /** Nothing more comes: the target is complete. @throws {Damaged} */
  async end() {
    await this.#unless(this.#writer.close());
    await this.#reading;
    const { length } = this.#target;
    if (this.#filled < length) throw new Damaged(`unpacks to only ${this.#filled} of ${length} bytes`);
    // Not every gunzip minds padding, or a second member that is empty.
    const told = new DataView(this.#tail.buffer, this.#tail.byteOffset).getUint32(0, true);
    if (told !== length) throw new Damaged("goes on after its gzip data");
  }

  /** Drops what is not unpacked yet. */
  cancel() {
    this.#writer.abort().catch(() => {});
  }

  /** @param {Promise<void>} step that ends in no case later than the reading fails */
  async #unless(step) {
    step.catch(() => {});
    try {
      await Promise.race([step, this.#failure]);
    } catch (error) {
      // Both sides of the stream fail; the reading side may know better why.
      throw error instanceof Damaged ? error : await this.#reading.then(() => damaged(error), (reason) => reason);
    }
  }

  async #read() {
    const reader = this.#stream.readable.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        throw damaged(error);
      });
      if (done) return;
      if (this.#filled + value.length > this.#target.length) {
        void reader.cancel().catch(() => {});
        throw new TooLong(`unpacks to more than the ${this.#target.length} bytes promised`);
      }
      this.#target.set(value, this.#filled);
      this.#filled += value.length;
    }
  }
}

/** @param {unknown} cause */
function damaged(cause) {
  return new Damaged("is no sound gzip file", { cause });
}
