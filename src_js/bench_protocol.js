/**
 * What the benchmark's page and its worker say to each other, what may be asked for, and what a result holds. The benchmark has a
 * worker of its own; to cancel it the page ends that worker.
 */

import { KleinbildError } from "./errors.js";
import { MAX_SIDE, MAX_STEPS, MIN_SIDE, SIDE_MULTIPLE } from "./protocol.js";

export const RESULT_SCHEMA = 1;
export const MAX_SIZES = 8;
const BLOCK_SIZES = [16, 32, 64, 128];

/** The models whose shapes the benchmark knows; "auto" is the true one on a GPU and the small one on a software adapter. */
export const MODELS = /** @type {const} */ (["auto", "klein4b", "small"]);
export const FAMILIES = /** @type {const} */ (["auto", "plain", "matrix"]);
export const FORMATS = /** @type {const} */ (["q4", "f16", "f32"]);
export const PRECISIONS = /** @type {const} */ (["auto", "f16", "f32"]);

/**
 * @typedef {object} BenchOptions
 * @property {import("./protocol.js").Precision} precision
 * @property {typeof MODELS[number]} model
 * @property {typeof FAMILIES[number]} family of kernels: "plain" leaves subgroup matrices out, "matrix" takes them wherever there are any
 * @property {typeof FORMATS[number]} format of the weights
 * @property {number} blockSize of q4 weights
 * @property {boolean} zeroPoints of q4 weights
 * @property {number[]} sizes sides of the square pictures in pixels; none: the model's usual ones
 * @property {number} steps of a picture; 0: the model's own
 * @property {boolean} quick one size unless sizes are given, and the most important kernels only
 * @property {string} build of the page
 */

/** @type {BenchOptions} */
export const DEFAULT_OPTIONS = {
  precision: "auto", model: "auto", family: "auto", format: "q4", blockSize: 32, zeroPoints: false, sizes: [], steps: 0, quick: false, build: "",
};

/**
 * What a measurement is about: "peak" the GPU itself, "kernel" one operator, "stage" one stage of a picture, "picture" all of it,
 * "start" what comes before, "memory" of the GPU, "page" the page meanwhile.
 * @typedef {"peak"|"kernel"|"stage"|"picture"|"start"|"memory"|"page"} Group
 */

/**
 * @typedef {object} Row one measurement
 * @property {Group} group
 * @property {string} name
 * @property {number} [seconds] of one run
 * @property {number} [flops] of the matrix products and attention of one run
 * @property {number} [bytes] moved by one run, or held
 * @property {number} [tflops] flops / seconds / 10^12
 * @property {number} [gigabytesPerSecond] bytes / seconds / 10^9
 * @property {number} [percent] of the measured peak: of tflops where there are flops, else of the copy bandwidth
 * @property {string} [detail] in words
 * @property {string} [error] why nothing was measured
 */

/**
 * @typedef {object} Peak 0: not measured
 * @property {number} f32Tflops
 * @property {number} f16Tflops
 * @property {number} copyGigabytesPerSecond
 * @property {number} tflops the one that percentages refer to: of the type that the kernels compute with
 */

/**
 * How a kind of work is done on this GPU: the kernel that was chosen by measuring, and all that were tried.
 * @typedef {object} Choice
 * @property {string} kind
 * @property {string} kernel
 * @property {{name: string, family: string, tflops: number, error: number, dropped: string}[]} candidates as engine/tuning/report.js has them
 */

/**
 * @typedef {object} Machine
 * @property {string} userAgent
 * @property {string} browser name and full version, where the browser tells them
 * @property {Adapter} adapter
 */

/**
 * @typedef {object} Adapter what the engine says of the GPU
 * @property {string} vendor
 * @property {string} architecture
 * @property {string} description
 * @property {boolean} f16
 * @property {boolean} fallback
 * @property {string[]} features
 * @property {[number, number]} subgroupSizes
 * @property {string[]} matrixShapes
 * @property {Record<string, number>} limits
 */

/**
 * @typedef {object} BenchResult
 * @property {typeof RESULT_SCHEMA} schema
 * @property {"kleinbild-bench"} kind
 * @property {string} build
 * @property {Machine} machine
 * @property {"f16"|"f32"} precision what the kernels computed with
 * @property {Omit<BenchOptions, "build">} options with sizes, steps and model as they were used
 * @property {Peak} peak
 * @property {Choice[]} kernels for each kind of work
 * @property {Row[]} rows in the order of measuring
 * @property {number} seconds that the benchmark took
 */

/** @typedef {{median: number, p95: number, worst: number, count: number}} FrameTimes seconds between the page's frames */

/**
 * @typedef {{ type: "run", options: BenchOptions }} RunMessage
 * @typedef {{ type: "clicked", at: number }} ClickedMessage answers await-click: when, in milliseconds since 1970
 * @typedef {{ type: "frames", frames: FrameTimes }} FramesMessage answers await-frames
 * @typedef {RunMessage | ClickedMessage | FramesMessage} ToBench
 *
 * @typedef {{ type: "progress", done: number, total: number, label: string }} BenchProgress label: what is being measured
 * @typedef {{ type: "row", row: Row }} RowMessage
 * @typedef {{ type: "await-click" }} AwaitClickMessage the worker is ready for a picture: begin to count frames and say when
 * @typedef {{ type: "await-frames" }} AwaitFramesMessage the picture is done: say how the frames went
 * @typedef {{ type: "result", result: BenchResult }} BenchResultMessage
 * @typedef {{ type: "error", code: import("./errors.js").ErrorCode, message: string }} BenchErrorMessage
 * @typedef {BenchProgress | RowMessage | AwaitClickMessage | AwaitFramesMessage | BenchResultMessage | BenchErrorMessage} FromBench
 */

/**
 * @param {Partial<Record<keyof BenchOptions, unknown>>} given
 * @returns {BenchOptions} with defaults for what is not given
 * @throws {KleinbildError} "bad-input", naming the option
 */
export function checkOptions(given) {
  const options = /** @type {BenchOptions} */ ({ ...DEFAULT_OPTIONS, ...given });
  for (const [name, values] of /** @type {const} */ ([
    ["precision", PRECISIONS], ["model", MODELS], ["family", FAMILIES], ["format", FORMATS], ["blockSize", BLOCK_SIZES],
    ["zeroPoints", [true, false]], ["quick", [true, false]],
  ])) {
    const allowed = /** @type {readonly unknown[]} */ (values);
    if (!allowed.includes(options[name])) throw refused(name, `one of ${allowed.join(", ")}`, options[name]);
  }
  const { sizes, steps, build } = options;
  const side = (/** @type {unknown} */ size) => (
    typeof size === "number" && Number.isInteger(size) && size >= MIN_SIDE && size <= MAX_SIDE && size % SIDE_MULTIPLE === 0);
  if (!Array.isArray(sizes) || sizes.length > MAX_SIZES || !sizes.every(side)) {
    throw refused("sizes", `at most ${MAX_SIZES} multiples of ${SIDE_MULTIPLE} from ${MIN_SIDE} to ${MAX_SIDE}`, sizes);
  }
  if (!Number.isInteger(steps) || steps < 0 || steps > MAX_STEPS) throw refused("steps", `a whole number from 0 to ${MAX_STEPS}`, steps);
  if (typeof build !== "string") throw refused("build", "text", build);
  return { ...options, sizes: [...new Set(sizes)].sort((a, b) => a - b) };
}

/** @param {string} name @param {string} expected @param {unknown} found */
function refused(name, expected, found) {
  return new KleinbildError("bad-input", `The benchmark's option ${name} must be ${expected}, not ${String(found)}.`);
}
