/**
 * The text encoder's results of the last prompts, so that a prompt asked for again needs neither the encoder's weights nor its time.
 *
 * A few stay in memory, more on the device where the caller gives a place for them. A result is known by a digest of everything it
 * depends on: model, page build, GPU and kernels, token ids. The prompt itself is kept nowhere. The values are those that the
 * encoder wrote, so the picture is the same bit for bit. The cache only saves time: whatever goes wrong with the device's storage,
 * the encoder runs.
 */

import { sha256Hex } from "../digest.js";

/**
 * @typedef {object} Blobs a place for bytes on this device (storage/blob_cache.js)
 * @property {(key: string) => Promise<Uint8Array<ArrayBuffer> | undefined>} get
 * @property {(key: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>} put
 * @property {() => Promise<void>} clear
 */

/**
 * @typedef {object} Lookup
 * @property {Float32Array<ArrayBuffer> | undefined} values the result, if kept
 * @property {(values: Float32Array<ArrayBuffer>) => Promise<void>} keep keeps the result that was missing; never rejects
 */

/** In memory: at the real model's 15.7 MB a prompt, the last four. */
const MEMORY_BYTES = 64 * 2 ** 20;

export class PromptCache {
  /** @type {Map<string, Float32Array<ArrayBuffer>>} the least recently used first */
  #memory = new Map();
  #clears = 0;

  /**
   * @param {Blobs | undefined} blobs undefined: in memory only
   * @param {number} [memoryBytes]
   */
  constructor(blobs, memoryBytes = MEMORY_BYTES) {
    this.blobs = blobs;
    this.memoryBytes = memoryBytes;
  }

  /**
   * @param {unknown} identity everything the result depends on, as JSON can hold it
   * @param {number} length values of a result; a kept one of another length counts as missing
   * @param {boolean} onDevice whether the device's storage may be used
   * @returns {Promise<Lookup>}
   */
  async find(identity, length, onDevice) {
    const blobs = onDevice ? this.blobs : undefined;
    const key = await sha256Hex(new TextEncoder().encode(JSON.stringify(identity)));
    const clears = this.#clears;
    const remembered = this.#memory.get(key);
    const values = remembered ?? asFloats(await blobs?.get(key).catch(() => undefined), length);
    if (values && clears === this.#clears) this.#remember(key, values);
    return {
      values,
      keep: async (fresh) => {
        if (clears !== this.#clears) return;            // cleared since the prompt was asked for: it is forgotten, too
        this.#remember(key, fresh);
        await blobs?.put(key, new Uint8Array(fresh.buffer, fresh.byteOffset, fresh.byteLength)).catch(() => undefined);
        if (clears !== this.#clears) await blobs?.clear();
      },
    };
  }

  /** Forgets every prompt, in memory and on the device. */
  async clear() {
    this.#clears += 1;
    this.#memory.clear();
    await this.blobs?.clear();
  }

  /** @param {string} key @param {Float32Array<ArrayBuffer>} values */
  #remember(key, values) {
    this.#memory.delete(key);
    this.#memory.set(key, values);
    let bytes = 0;
    for (const kept of this.#memory.values()) bytes += kept.byteLength;
    for (const [oldest, { byteLength }] of this.#memory) {
      if (bytes <= this.memoryBytes) break;
      this.#memory.delete(oldest);
      bytes -= byteLength;
    }
  }
}

/**
 * What a prompt's result depends on.
 * @param {import("../manifest.js").Manifest} manifest
 * @param {import("../engine/engine.js").Engine} engine
 * @param {unknown} platform page build and browser, as JSON can hold it: other code and compilers may round otherwise
 * @param {Int32Array} inputIds with the padding; the encoder sees how many are tokens by where it begins
 * @param {number} length how many of them are tokens
 * @returns {unknown}
 */
export function promptIdentity({ id, revision, config, tokenizer, stages, shards }, { info, tuning }, platform, inputIds, length) {
  const read = stages.filter(({ name }) => name === "text_encoder" || name === "embedding");
  const { vendor, architecture, description, precision, features } = info;
  return {
    platform,
    model: { id, revision, config: config.text_encoder, tokenizer: tokenizer.sha256 },
    shards: read.map((stage) => stage.shards.map((shard) => shards[shard]?.sha256)),
    engine: { vendor, architecture, description, precision, features, kernels: tuning.identity },
    inputIds: [...inputIds],
    length,
  };
}

/** @param {Uint8Array<ArrayBuffer> | undefined} bytes @param {number} length @returns {Float32Array<ArrayBuffer> | undefined} */
function asFloats(bytes, length) {
  if (bytes?.length !== length * Float32Array.BYTES_PER_ELEMENT) return undefined;
  return new Float32Array(bytes.slice().buffer);       // a view of floats must start at a multiple of four; a copy does
}
