/** Small models whose files exist: a site of them, a device without storage, folders as a browser gives them. */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { parseManifest } from "../../../src_js/manifest.js";
import { manifestPath } from "../../../src_js/model_index.js";
import { ModelLibrary, keptNames } from "../../../src_js/storage/library.js";
import { MemoryLayer } from "../../../src_js/storage/memory.js";
import { ModelRecords } from "../../../src_js/storage/records.js";
import { ShardStore } from "../../../src_js/storage/shard_store.js";
import { Site } from "../../../src_js/storage/site.js";
import { smallManifest } from "../support/manifest_fixture.js";
import { BASE_URL, FakeServer, SmallLayer } from "./fakes.js";

/** @typedef {import("../../../src_js/manifest.js").Manifest} Manifest */
/** @typedef {{ manifest: Manifest, text: string, files: import("./fakes.js").FakeFile[] }} FakeModel */

/**
 * @param {string} id
 * @param {{ name?: string, changed?: number[] }} [options] changed: indices of shards whose bytes are this model's own
 * @returns {FakeModel}
 */
export function makeModel(id, { name = "Tiny", changed = [] } = {}) {
  const value = { ...smallManifest(), id, name };
  /** @type {import("./fakes.js").FakeFile[]} */
  const files = [];
  const give = (/** @type {any} */ ref, /** @type {string} */ suffix, /** @type {number} */ seed) => {
    const data = Uint8Array.from({ length: ref.bytes }, (_, i) => (i * 7 + seed) & 63);
    const sha256 = createHash("sha256").update(data).digest("hex");
    const sent = ref.encoding === "gzip" ? new Uint8Array(gzipSync(data)) : data;
    Object.assign(ref, { sha256, path: `w/${sha256}.${suffix}${ref.encoding ? ".gz" : ""}`, transfer_bytes: sent.length });
    files.push({ file: ref, data, sent });
  };
  give(value.tokenizer, "json", 1);
  value.shards.forEach((/** @type {any} */ shard, /** @type {number} */ i) => (
    give(shard, "bin", 2 + i + (changed.includes(i) ? 100 + id.charCodeAt(id.length - 1) : 0))));
  const text = JSON.stringify(value);
  return { manifest: parseManifest(JSON.parse(text)), text, files };
}

/** @param {readonly FakeModel[]} models the default first @returns {any} */
export function indexOf(models) {
  return { schema: 1, models: models.map(({ manifest: { id, name, revision, weights, notice }, files }, i) => ({
    id, name, revision, weights, notice, manifest: manifestPath(id), default: i === 0,
    bytes: files.reduce((sum, { file }) => sum + file.bytes, 0),
    transfer_bytes: files.reduce((sum, { file }) => sum + file.transfer_bytes, 0),
  })) };
}

/** A server of models; `offer` changes what it has. */
export class FakeSite extends FakeServer {
  /** @param {readonly FakeModel[]} models the default first */
  constructor(models) {
    super([]);
    this.offer(models);
  }

  /** @param {readonly FakeModel[]} models in place of those before */
  offer(models) {
    const encoder = new TextEncoder();
    this.files = new Map(models.flatMap(({ files }) => files.map(({ file, sent }) => [file.path, sent])));
    this.files.set("models/index.json", encoder.encode(JSON.stringify(indexOf(models))));
    for (const { manifest, text } of models) this.files.set(manifestPath(manifest.id).slice(1), encoder.encode(text));
  }

  /** Paths of weights that were asked for. */
  get asked() {
    return this.requests.map(({ path }) => path).filter((path) => path.startsWith("w/"));
  }
}

/** @param {FakeSite} site @param {{ weights?: SmallLayer, notes?: MemoryLayer }} [device] what is stored already */
export async function openLibrary(site, { weights = new SmallLayer(), notes = new MemoryLayer() } = {}) {
  const records = await ModelRecords.open(notes);
  const wait = async () => {};
  const store = await ShardStore.open({ baseUrl: BASE_URL, model: [], kept: () => keptNames(records), fetch: site.fetch, layer: weights, wait });
  const library = new ModelLibrary({ records, store, site: new Site(BASE_URL, site.fetch) });
  return { library, records, store, weights, notes };
}

/** A folder in memory, as the File System Access API gives one. */
export class FakeDirectory {
  kind = "directory";
  /** @type {Map<string, FakeDirectory | FakeFileHandle>} */
  children = new Map();
  /** Bytes that may still be written in all. */
  room = { left: Infinity };

  async *entries() {
    yield* this.children.entries();
  }

  /** @param {string} name @param {{ create?: boolean }} [options] */
  async getDirectoryHandle(name, options) {
    let child = this.children.get(name);
    if (!child && options?.create) {
      child = new FakeDirectory();
      child.room = this.room;
      this.children.set(name, child);
    }
    if (!(child instanceof FakeDirectory)) throw new DOMException("none", "NotFoundError");
    return child;
  }

  /** @param {string} name @param {{ create?: boolean }} [options] */
  async getFileHandle(name, options) {
    let child = this.children.get(name);
    if (!child && options?.create) this.children.set(name, (child = new FakeFileHandle(name, this.room)));
    if (!(child instanceof FakeFileHandle)) throw new DOMException("none", "NotFoundError");
    return child;
  }

  /** @param {string} [prefix] @returns {Map<string, Uint8Array<ArrayBuffer>>} every file by path */
  tree(prefix = "") {
    /** @type {Map<string, Uint8Array<ArrayBuffer>>} */
    const found = new Map();
    for (const [name, child] of this.children) {
      if (child instanceof FakeFileHandle) found.set(prefix + name, child.data);
      else for (const [path, data] of child.tree(`${prefix}${name}/`)) found.set(path, data);
    }
    return found;
  }

  /** @param {string} path @param {Uint8Array<ArrayBuffer>} data */
  async put(path, data) {
    const parts = path.split("/");
    const name = /** @type {string} */ (parts.pop());
    /** @type {FakeDirectory} */
    let folder = this;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
    (await folder.getFileHandle(name, { create: true })).data = data;
  }

  /** @returns {FileSystemDirectoryHandle} */
  get handle() {
    return /** @type {any} */ (this);
  }
}

class FakeFileHandle {
  kind = "file";
  data = new Uint8Array();
  written = 0;

  /** @param {string} name @param {{ left: number }} room */
  constructor(name, room) {
    this.name = name;
    this.room = room;
  }

  async getFile() {
    return new File([this.data], this.name);
  }

  async createWritable() {
    /** @type {Uint8Array<ArrayBuffer>} */
    let aside = new Uint8Array();
    return {
      write: async (/** @type {Uint8Array<ArrayBuffer>} */ bytes) => {
        if (bytes.length > this.room.left) throw new DOMException("full", "QuotaExceededError");
        this.room.left -= bytes.length;
        aside = bytes.slice();
      },
      close: async () => {
        this.data = aside;
        this.written += 1;
      },
    };
  }
}
