/**
 * The memory budget: whether a picture fits it, and what to say when not. Numbers of a plan only; what is loaded when is residency.js's.
 */

import { KleinbildError } from "../errors.js";
import { planPicture } from "./plan.js";
import { tokenPixels } from "./stages.js";

/**
 * @typedef {{width: number, height: number}} Size pixels
 * @typedef {import("./plan.js").PicturePlan} PicturePlan
 * @typedef {import("./residency.js").GpuStage} GpuStage
 */

/** Where the browser does not tell the GPU's memory: what the smallest machine in mind gives to one. */
export const DEFAULT_BUDGET_BYTES = 8.25e9;
/** Of a GPU's own memory when it is told: the desktop and the driver need some. */
const HEAP_SHARE = 0.9;
/** Of a band of the decoder's maps: half of what every WebGPU device can bind, as it is read with its neighbours' rows. */
const BAND_BYTES = 2 ** 26;
const STAGES = /** @type {const} */ (["text_encoder", "modulation", "transformer", "vae_decoder"]);

/** @param {{memoryBytes?: number | undefined}} info of the device @returns {number} bytes */
export function defaultBudget({ memoryBytes }) {
  return memoryBytes ? Math.floor(memoryBytes * HEAP_SHARE) : DEFAULT_BUDGET_BYTES;
}

/**
 * @param {PicturePlan} plan
 * @returns {{least: number, whole: number}} peak memory in bytes with the stages loaded in turn, and with all of them kept
 */
export function memoryNeeds({ weightBytes, workBytes, preview }) {
  const weights = STAGES.reduce((sum, stage) => sum + weightBytes[stage], 0);
  const beside = (/** @type {GpuStage} */ stage) => (preview && stage === "transformer" ? weightBytes.vae_decoder : 0);
  return {
    least: Math.max(...STAGES.map((stage) => weightBytes[stage] + workBytes[stage] + beside(stage))),
    whole: weights + Math.max(...STAGES.map((stage) => workBytes[stage])),
  };
}

/** A picture that cannot be made here. */
export class TooLarge extends KleinbildError {
  /** @param {string} message @param {Size | undefined} largest of the same shape that can, about; undefined when none can */
  constructor(message, largest) {
    super("too-large", message);
    this.largest = largest;
  }
}

/**
 * The plan of a picture that can be made here; where whole maps of the decoder would not fit, they lie in bands, and where previews
 * would not fit, there are none.
 * @param {Parameters<typeof planPicture>[0]} engine
 * @param {import("../manifest.js").Manifest} manifest
 * @param {{width: number, height: number, steps: number, preview?: boolean}} picture width and height in pixels, whole tokens; preview: with
 *   previews, if they fit
 * @param {number} budget bytes of GPU memory
 * @returns {PicturePlan}
 * @throws {KleinbildError} bad-input: no size of this model
 * @throws {TooLarge} needs more than the budget, or a larger buffer than the GPU allows
 */
export function planWithin(engine, manifest, picture, budget) {
  const side = tokenPixels(manifest.config);
  if (picture.width % side !== 0 || picture.height % side !== 0) {
    throw new KleinbildError("bad-input", `This model draws in multiples of ${side} pixels, not ${picture.width}x${picture.height}.`);
  }
  const { maxBufferSize = Infinity, maxStorageBufferBindingSize = Infinity } = engine.info.limits;
  const limits = { budget, bufferBytes: Math.min(maxBufferSize, maxStorageBufferBindingSize) };
  const planned = (/** @type {Size} */ size) => {
    const plain = { ...picture, ...size, preview: false };
    const whole = planPicture(engine, manifest, plain);
    return fits(whole, limits) ? whole : planPicture(engine, manifest, { ...plain, mapBytes: BAND_BYTES });
  };
  const plan = planned(picture);
  if (fits(plan, limits)) {
    const shown = picture.preview ? planPicture(engine, manifest, { ...picture, mapBytes: plan.mapBytes }) : plan;
    return fits(shown, limits) ? shown : plan;
  }
  throw refusal(picture, plan, limits, largestFitting(picture, side, (size) => fits(planned(size), limits)));
}

/**
 * @param {PicturePlan} plan
 * @param {{budget: number, bufferBytes: number}} limits bufferBytes: the largest buffer that the GPU allows
 */
function fits(plan, { budget, bufferBytes }) {
  return memoryNeeds(plan).least <= budget && plan.largestBytes <= bufferBytes;
}

/**
 * The largest picture of the same shape, about, that fits.
 * @param {Size} size
 * @param {number} side pixels of a token: sides are multiples of it
 * @param {(size: Size) => boolean} fitting whether a size fits; smaller ones then fit, too
 * @returns {Size | undefined} undefined when not even the smallest fits
 */
function largestFitting({ width, height }, side, fitting) {
  const long = Math.max(width, height) / side;
  const scaled = (/** @type {number} */ tokens) => ({
    width: Math.max(1, Math.floor((tokens * width) / (long * side))) * side,
    height: Math.max(1, Math.floor((tokens * height) / (long * side))) * side,
  });
  let [most, tooMany] = [0, long + 1];
  while (tooMany - most > 1) {
    const tokens = Math.floor((most + tooMany) / 2);
    if (fitting(scaled(tokens))) most = tokens;
    else tooMany = tokens;
  }
  return most > 0 ? scaled(most) : undefined;
}

/**
 * Why a picture cannot be made here.
 * @param {Size} size
 * @param {PicturePlan} plan one that does not fit
 * @param {{budget: number, bufferBytes: number}} limits
 * @param {Size | undefined} largest that fits
 * @returns {TooLarge}
 */
function refusal({ width, height }, plan, { budget, bufferBytes }, largest) {
  const { least } = memoryNeeds(plan);
  const reason = least > budget
    ? `needs ${gigabytes(least)} of GPU memory, and the budget is ${gigabytes(budget)}`
    : `needs a GPU buffer of ${gigabytes(plan.largestBytes)}, and this GPU allows ${gigabytes(bufferBytes)}`;
  const way = largest ? `The largest picture of this shape that fits has ${largest.width}x${largest.height} pixels.` : "No size fits.";
  const budgetToo = least > budget ? " A larger memory budget can be set if the GPU has the memory." : "";
  return new TooLarge(`A picture of ${width}x${height} pixels ${reason}. ${way}${budgetToo}`, largest);
}

/** @param {number} bytes */
function gigabytes(bytes) {
  return `${(Math.ceil(bytes / 1e7) / 100).toFixed(2)} GB`;
}
