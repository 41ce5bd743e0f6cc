/**
 * `torch.randn` on the CPU in float32, bit for bit, so that a seed gives the picture diffusers gives for it.
 *
 * torch fills from a Mersenne Twister: 24-bit uniforms in blocks of 16 through Box-Muller, u[0..7] the radii, u[8..15]
 * the angles, cosines then sines. Its x86 kernel takes logarithm, sine and cosine from Cephes' single-precision
 * polynomials, and its compiler fuses most multiply-adds: both are followed here, since libm would differ in the
 * last bit. Not here: torch's CUDA generator (another algorithm), nor other dtypes.
 */

import { KleinbildError } from "../errors.js";
import { Mt19937 } from "./mt19937.js";

const fround = Math.fround;

const BLOCK = 16;
const HALF_BLOCK = 8;
const UNIT_24 = 2 ** -24;
const UNIT_53 = 2 ** -53;
const TWO_PI = fround(2 * Math.PI);
const MAX_SEED = (1n << 64n) - 1n;

const SQRT_HALF_BITS = 0x3f3504f3; // float32 0.70710677
const LN2_HIGH = fround(0.693359375);
const LN2_LOW = fround(-2.12194440e-4);
const FOUR_OVER_PI = fround(1.27323954473516);
const PI_4_HIGH = fround(-0.78515625);
const PI_4_MIDDLE = fround(-2.4187564849853515625e-4);
const PI_4_LOW = fround(-3.77489497744594108e-8);

const LOG_0 = fround(7.0376836292e-2);
const LOG_1 = fround(-1.1514610310e-1);
const LOG_2 = fround(1.1676998740e-1);
const LOG_3 = fround(-1.2420140846e-1);
const LOG_4 = fround(1.4249322787e-1);
const LOG_5 = fround(-1.6668057665e-1);
const LOG_6 = fround(2.0000714765e-1);
const LOG_7 = fround(-2.4999993993e-1);
const LOG_8 = fround(3.3333331174e-1);
const COS_0 = fround(2.443315711809948e-5);
const COS_1 = fround(-1.388731625493765e-3);
const COS_2 = fround(4.166664568298827e-2);
const SIN_0 = fround(-1.9515295891e-4);
const SIN_1 = fround(8.3321608736e-3);
const SIN_2 = fround(-1.6666654611e-1);

/**
 * a*b + c of float32 values with one rounding. The product is exact in a double; the sum is rounded twice (to 53, then
 * 24 bits), which matters only when the double lies midway between two float32 neighbours `near` and `far`.
 * @param {number} a @param {number} b @param {number} c @returns {number}
 */
export function fma32(a, b, c) {
  const sum = a * b + c;
  const near = fround(sum);
  const far = 2 * sum - near;
  return fround(far) === far ? fma32Tied(a, b, c) : near;
}

/**
 * `fma32` where the double sum may lie midway: its own rounding error (Knuth's TwoSum) decides. Apart from `fma32` so
 * that this stays small enough for the engine to inline.
 * @param {number} a @param {number} b @param {number} c @returns {number}
 */
function fma32Tied(a, b, c) {
  const product = a * b;
  const sum = product + c;
  const near = fround(sum);
  const far = 2 * sum - near;
  const part = sum - product;
  const error = product - (sum - part) + (c - part);
  return error !== 0 && error > 0 === far > near ? far : near;
}

const floatBits = new Float32Array(1);
const intBits = new Int32Array(floatBits.buffer);

/** Cephes logf. @param {number} value A float32 in [2^-24, 1]. @returns {number} ln(value) as float32. */
function log32(value) {
  floatBits[0] = value;
  const bits = /** @type {number} */ (intBits[0]);
  const mantissa = (bits & 0x007fffff) | 0x3f000000; // as a float in [0.5, 1)
  intBits[0] = mantissa;
  const low = (mantissa - SQRT_HALF_BITS) >>> 31; // 1 below sqrt(1/2): double it and lower the exponent
  const exponent = (bits >>> 23) - 126 - low;
  const x = /** @type {number} */ (floatBits[0]) * (1 + low) - 1; // exact in float32
  const z = fround(x * x);
  let y = fma32(LOG_0, x, LOG_1);
  y = fma32(y, x, LOG_2);
  y = fma32(y, x, LOG_3);
  y = fma32(y, x, LOG_4);
  y = fma32(y, x, LOG_5);
  y = fma32(y, x, LOG_6);
  y = fma32(y, x, LOG_7);
  y = fma32(y, x, LOG_8);
  y = fround(y * x);
  y = fma32(y, z, fround(exponent * LN2_LOW));
  y = fma32(z, -0.5, y);
  return fma32(exponent, LN2_HIGH, fround(x + y));
}

/**
 * Cephes sincosf times a radius: cosine to out[at], sine to out[at + 8]. Free of branches on the octant, which a
 * processor could only guess.
 * @param {number} theta A float32 in [0, 2 pi]. @param {number} radius
 * @param {Float32Array} out @param {number} at
 */
function polar32(theta, radius, out, at) {
  const octant = ((fround(theta * FOUR_OVER_PI) | 0) + 1) & ~1; // to an even octant: |x| <= pi/4 below
  let x = fma32(octant, PI_4_HIGH, theta);
  x = fma32(octant, PI_4_MIDDLE, x);
  x = fma32(octant, PI_4_LOW, x);
  const z = fround(x * x);
  let c = fma32(COS_0, z, COS_1);
  c = fma32(c, z, COS_2);
  c = fround(c * z);
  c = fma32(c, z, -0.5 * z);
  c = fround(c + 1);
  let s = fma32(SIN_0, z, SIN_1);
  s = fma32(s, z, SIN_2);
  s = fround(s * z);
  s = fma32(s, x, x);
  const swapped = (octant & 2) * (HALF_BLOCK / 2); // 8 where cosine and sine change places
  const cosineSign = 1 - (((octant + 2) & 4) >> 1);
  const sineSign = 1 - ((octant & 4) >> 1);
  out[at + swapped] = c;
  out[at + HALF_BLOCK - swapped] = s;
  // "+ 0" turns -0 into +0, as torch's final "* std + mean" does.
  out[at] = /** @type {number} */ (out[at]) * radius * cosineSign + 0;
  out[at + HALF_BLOCK] = /** @type {number} */ (out[at + HALF_BLOCK]) * radius * sineSign + 0;
}

/**
 * Box-Muller in place over whole blocks of 16 uniforms: first every radius, then every point (two loops, since the
 * engine inlines `fma32` only up to a size).
 * @param {Float32Array} data @param {number} start @param {number} end
 */
function normalBlocks(data, start, end) {
  for (let block = start; block + BLOCK <= end; block += BLOCK) radii(data, block);
  for (let block = start; block + BLOCK <= end; block += BLOCK) points(data, block);
}

/** @param {Float32Array} data @param {number} block */
function radii(data, block) {
  for (let i = block; i < block + HALF_BLOCK; i++) {
    data[i] = Math.sqrt(-2 * log32(1 - /** @type {number} */ (data[i])));
  }
}

/** @param {Float32Array} data @param {number} block */
function points(data, block) {
  for (let i = block; i < block + HALF_BLOCK; i++) {
    polar32(fround(TWO_PI * /** @type {number} */ (data[i + HALF_BLOCK])), /** @type {number} */ (data[i]), data, i);
  }
}

/** @param {Mt19937} generator @param {Float32Array} data @param {number} start @param {number} end */
function uniforms(generator, data, start, end) {
  for (let i = start; i < end; i++) data[i] = (generator.nextInt32() & 0xffffff) * UNIT_24;
}

/** @param {Mt19937} generator @returns {number} A double in [0, 1) from the low 53 of 64 drawn bits. */
function uniformDouble(generator) {
  const high = generator.nextInt32() & 0x1fffff;
  return (high * 2 ** 32 + (generator.nextInt32() >>> 0)) * UNIT_53;
}

/**
 * Fewer than 16 values take torch's scalar path: pairs in double precision, one value kept for the next draw.
 * @param {Mt19937} generator @param {Float32Array} data
 */
function normalScalars(generator, data) {
  for (let i = 0; i < data.length; i += 2) {
    const theta = 2 * Math.PI * uniformDouble(generator);
    const radius = Math.sqrt(-2 * Math.log1p(-uniformDouble(generator)));
    data[i] = radius * Math.cos(theta);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(theta);
  }
}

/**
 * `torch.randn(count, generator=torch.Generator("cpu").manual_seed(seed))`.
 * @param {bigint} seed 0 .. 2^64-1; the generator takes its low 32 bits.
 * @param {number} count
 * @returns {Float32Array}
 * @throws {KleinbildError} "bad-input" for a seed or count out of range.
 */
export function torchRandn(seed, count) {
  if (typeof seed !== "bigint" || seed < 0n || seed > MAX_SEED) {
    throw new KleinbildError("bad-input", `The seed must be a whole number from 0 to ${MAX_SEED}, not ${seed}.`);
  }
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new KleinbildError("bad-input", `Cannot draw ${count} noise values.`);
  }
  const generator = new Mt19937(Number(seed & 0xffffffffn));
  const data = new Float32Array(count);
  if (count < BLOCK) {
    normalScalars(generator, data);
    return data;
  }
  uniforms(generator, data, 0, count);
  normalBlocks(data, 0, count);
  if (count % BLOCK !== 0) {
    uniforms(generator, data, count - BLOCK, count);
    normalBlocks(data, count - BLOCK, count);
  }
  return data;
}
