/**
 * Between the two orders latents live in: channel planes [C, h, w], as noise is drawn and as the VAE reads them, and
 * tokens [h*w, C] row by row, as the transformer reads them. No arithmetic.
 */

import { KleinbildError } from "../errors.js";

/**
 * @param {Float32Array} latents [channels, height, width]
 * @param {number} channels @param {number} height @param {number} width
 * @returns {Float32Array} [height * width, channels]; token n is the pixel at row n / width, column n % width.
 * @throws {KleinbildError} "bad-input" when the length is not channels * height * width.
 */
export function packLatents(latents, channels, height, width) {
  checkLength(latents, channels, height, width);
  return transpose(latents, channels, height * width);
}

/**
 * The inverse of `packLatents`.
 * @param {Float32Array} tokens [height * width, channels]
 * @param {number} channels @param {number} height @param {number} width
 * @returns {Float32Array} [channels, height, width]
 * @throws {KleinbildError} "bad-input" when the length is not channels * height * width.
 */
export function unpackLatents(tokens, channels, height, width) {
  checkLength(tokens, channels, height, width);
  return transpose(tokens, height * width, channels);
}

/** @param {Float32Array} values @param {number} channels @param {number} height @param {number} width */
function checkLength(values, channels, height, width) {
  if (values.length === channels * height * width) return;
  throw new KleinbildError(
    "bad-input",
    `Latents of ${channels} x ${height} x ${width} need ${channels * height * width} values, got ${values.length}.`,
  );
}

/** @param {Float32Array} from [rows, columns] @param {number} rows @param {number} columns */
function transpose(from, rows, columns) {
  const to = new Float32Array(from.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) to[column * rows + row] = /** @type {number} */ (from[at++]);
  }
  return to;
}
