/**
 * How large previews may be, and after which steps they come: as large as keeps one within a small part of a step's time, which is
 * predicted from the arithmetic of both. Numbers only.
 */

import { latentPixels } from "./stages.js";

/**
 * @typedef {object} PreviewSize
 * @property {{height: number, width: number}} small the map that is decoded, in latent pixels
 * @property {number} height of the preview, pixels
 * @property {number} width of the preview, pixels
 * @property {number} every a preview comes after each so-manieth step
 * @property {number} count of previews in the whole picture: none after the last step
 */

/** Of a step's time that its preview may take. */
const STEP_SHARE = 0.05;
/**
 * How much longer a FLOP of the decoder takes than one of the transformer. Measured with matrix units at 512x512 and 1024x1024 pixels,
 * where it is 2.4 and 2.1; without them it is less.
 */
const DECODER_COST = 2.5;
/** Latent pixels of the smallest preview's longer side, 64 pixels: in less nothing is recognised. */
const LEAST_SIDE = 8;

/**
 * @param {import("../manifest.js").ModelConfig} config
 * @param {import("./stages.js").PictureSize} picture
 * @param {number} stepFlops of one step
 * @param {(small: PreviewSize["small"]) => number} flopsOf of a preview that decodes such a map; grows with it
 * @returns {PreviewSize | undefined} undefined: none is due before the last step, which the picture itself follows. So it is where even
 *   the smallest preview costs more than all steps before the last may spend on one.
 */
export function choosePreview(config, { rows, columns, steps }, stepFlops, flopsOf) {
  const patch = config.vae_decoder.patch_size;
  const [height, width] = [rows * patch, columns * patch];
  const small = (/** @type {number} */ factor) => ({ height: Math.ceil(height / factor), width: Math.ceil(width / factor) });
  const cost = (/** @type {number} */ factor) => (flopsOf(small(factor)) * DECODER_COST) / (stepFlops * STEP_SHARE);
  let [tooSmall, factor] = [0, Math.max(1, Math.floor(Math.max(height, width) / LEAST_SIDE))];
  const every = Math.max(1, Math.ceil(cost(factor)));
  while (factor - tooSmall > 1) {
    const middle = Math.floor((tooSmall + factor) / 2);
    if (cost(middle) <= every) factor = middle;
    else tooSmall = middle;
  }
  const count = Math.floor((steps - 1) / every);
  if (count === 0) return undefined;
  const side = latentPixels(config);
  const chosen = small(factor);
  return { small: chosen, height: chosen.height * side, width: chosen.width * side, every, count };
}

/** @param {PreviewSize | undefined} preview @param {number} done finished steps @param {number} steps of the picture @returns {boolean} */
export function previewDue(preview, done, steps) {
  return preview !== undefined && done < steps && done % preview.every === 0;
}
