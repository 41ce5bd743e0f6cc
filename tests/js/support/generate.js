/**
 * The page's pipeline in Node, on Dawn: makes the pictures of a list of jobs from a packaged site and writes every boundary as a
 * numpy file. The pytest files in tests/dawn run it; it is not a test itself.
 *
 * usage: node generate.js JOBS.json   with [{site, out, precision, prompt, width, height, seed, steps, latents}]: site is a
 * dist folder, latents a file of raw little-endian float32 values or null, and out a folder that exists.
 */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parseManifest } from "../../../src_js/manifest.js";
import { Generator } from "../../../src_js/pipeline/generator.js";
import { openEngine } from "./gpu.js";

/**
 * @typedef {{site: string, out: string, precision: "f32"|"f16", prompt: string, width: number, height: number, seed: string,
 *   steps: number, latents: string | null}} Job
 */

const NUMPY_TYPES = { int32: "<i4", float32: "<f4", uint8: "|u1" };

/** @param {string} path @param {import("../../../src_js/pipeline/generator.js").TraceArray} array Numpy's format, version 1.0. */
function writeNpy(path, { dtype, shape, data }) {
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const header = `{'descr': '${NUMPY_TYPES[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  writeFileSync(path, Buffer.concat([start, Buffer.from(padded, "latin1"), Buffer.from(data.buffer, data.byteOffset, data.byteLength)]));
}

/** @param {string} site */
function openSite(site) {
  const [name] = readdirSync(join(site, "models")).filter((file) => file !== "index.json");
  const manifest = parseManifest(JSON.parse(readFileSync(join(site, "models", name ?? ""), "utf8")));
  const refs = new Map([manifest.tokenizer, ...manifest.shards].map((file) => [file.sha256, file]));
  /** @type {Map<string, Buffer>} plain */
  const files = new Map();
  const plain = (/** @type {string} */ sha256) => {
    const known = files.get(sha256);
    if (known) return known;
    const { path, bytes, encoding, transfer_bytes: sent } = /** @type {import("../../../src_js/manifest.js").FileRef} */ (refs.get(sha256));
    const stored = readFileSync(join(site, path));
    const file = encoding === "gzip" ? gunzipSync(stored) : stored;
    if (stored.length !== sent || file.length !== bytes) throw new Error(`${path} has another size than promised`);
    if (createHash("sha256").update(file).digest("hex") !== sha256) throw new Error(`${path} has another digest`);
    files.set(sha256, file);
    return file;
  };
  /** @type {import("../../../src_js/engine/weights.js").ReadShard} */
  const readShard = (sha256, offset, target) => {
    const file = plain(sha256);
    if (offset + target.length > file.length) throw new Error(`${sha256} is short`);
    target.set(file.subarray(offset, offset + target.length));
  };
  return { manifest, vocabulary: JSON.parse(plain(manifest.tokenizer.sha256).toString("utf8")), readShard };
}

/** @type {Map<string, Promise<import("../../../src_js/engine/engine.js").Engine>>} */
const engines = new Map();

/** @param {Job} job */
async function run({ site, out, precision, prompt, width, height, seed, steps, latents }) {
  const engine = await (engines.get(precision) ?? openEngine(precision));
  engines.set(precision, Promise.resolve(engine));
  const generator = new Generator({ engine, ...openSite(site) });
  const initial = latents ? new Float32Array(Uint8Array.from(readFileSync(latents)).buffer) : null;
  await generator.generate({ prompt, width, height, seed: BigInt(seed), steps, latents: initial }, {
    onTrace: (name, array) => writeNpy(join(out, `${name}.npy`), array),
  });
  generator.residency.clear();
}

for (const job of /** @type {Job[]} */ (JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")))) await run(job);
process.exit(0);                                            // Dawn's threads would keep the process alive
