/**
 * A server of files and a place for them, both in memory and both able to fail on demand.
 */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { KleinbildError } from "../../../src_js/errors.js";
import { MemoryLayer } from "../../../src_js/storage/memory.js";

export const BASE_URL = "http://localhost/";

/** @typedef {import("../../../src_js/manifest.js").FileRef} FileRef */
/** @typedef {{ file: FileRef, data: Uint8Array<ArrayBuffer>, sent: Uint8Array<ArrayBuffer> }} FakeFile data: plain; sent: as the server has it */

/** @param {number} seed @param {number} [bytes] @returns {FakeFile} */
export function makeFile(seed, bytes = 1000) {
  const data = Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed * 7) & 255);
  const sha256 = createHash("sha256").update(data).digest("hex");
  return { file: { path: `w/${sha256}.bin`, sha256, bytes, encoding: "", transfer_bytes: bytes }, data, sent: data };
}

/** @param {number} seed @param {number} [bytes] plain @returns {FakeFile} */
export function makeGzipFile(seed, bytes = 1000) {
  const { file, data } = makeFile(seed, bytes);
  const sent = new Uint8Array(gzipSync(data));
  return { file: { ...file, path: `${file.path}.gz`, encoding: "gzip", transfer_bytes: sent.length }, data, sent };
}

/** An answer to one request: bytes, a status, or "cut" (half the bytes), "down" (no connection), "hang" (never). */
/** @typedef {Uint8Array<ArrayBuffer> | number | "cut" | "down" | "hang"} Answer */

export class FakeServer {
  /** @type {{ path: string, cache: RequestCache | undefined, range: string | undefined }[]} */
  requests = [];
  /** Whether it answers a request for a part with that part. */
  ranges = true;
  /** @type {Map<string, Answer[]>} answers before the file itself, by path */
  answers = new Map();
  inFlight = 0;
  mostInFlight = 0;

  /** @param {readonly FakeFile[]} files */
  constructor(files) {
    this.files = new Map(files.map(({ file, sent }) => [file.path, sent]));
  }

  /** @type {typeof fetch} */
  fetch = async (input, init) => {
    const path = String(input).slice(BASE_URL.length);
    const range = /** @type {Record<string, string> | undefined} */ (init?.headers)?.["Range"];
    this.requests.push({ path, cache: init?.cache, range });
    const answer = this.answers.get(path)?.shift() ?? this.files.get(path) ?? 404;
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    try {
      await new Promise((resolve) => setTimeout(resolve, 2));
      const from = this.ranges && range ? Number(/^bytes=([0-9]+)-$/.exec(range)?.[1]) : undefined;
      return await respond(answer, init?.signal ?? undefined, this.files.get(path), from);
    } finally {
      this.inFlight -= 1;
    }
  };
}

/**
 * @param {Answer} answer @param {AbortSignal | undefined} signal @param {Uint8Array<ArrayBuffer> | undefined} whole
 * @param {number | undefined} from the byte where the part that is asked for begins
 */
async function respond(answer, signal, whole, from) {
  if (answer === "down") throw new TypeError("Failed to fetch");
  if (answer === "hang") {
    return new Promise((/** @type {(value: Response) => void} */ _, reject) => {
      const abort = () => reject(new DOMException("aborted", "AbortError"));
      if (signal?.aborted) abort();
      else signal?.addEventListener("abort", abort);
    });
  }
  if (typeof answer === "number") return new Response("", { status: answer });
  const data = answer === "cut" ? whole?.subarray(0, whole.length / 2) : answer;
  if (from === undefined) return new Response(data);
  const range = `bytes ${from}-${(data?.length ?? 0) - 1}/${whole?.length}`;
  return new Response(data?.subarray(from), { status: 206, headers: { "Content-Range": range } });
}

/** A file layer whose writes can run out of room. */
export class SmallLayer extends MemoryLayer {
  capacity = Infinity;
  partsRemoved = 0;

  /** @override @param {string} name @param {Uint8Array<ArrayBuffer>} bytes */
  async write(name, bytes) {
    const used = [...this.files.values()].reduce((sum, file) => sum + file.length, 0);
    if (used + bytes.length > this.capacity) throw new KleinbildError("storage-full", "The storage is full.");
    await super.write(name, bytes);
  }

  /** @override */
  async removeParts() {
    this.partsRemoved += 1;
  }
}
