/**
 * The noise levels of FLUX.2's flow-matching Euler sampler: FlowMatchEulerDiscreteScheduler with the dynamic
 * exponential shift and the empirical mu of diffusers' Flux2KleinPipeline (`compute_empirical_mu`). Every rounding to
 * float32 is where numpy rounds, so the values are equal bit for bit. The Euler step itself is the generator's.
 */

import { KleinbildError } from "../errors.js";

const fround = Math.fround;

// Two straight lines in the token count, fitted at 200 and at 10 steps; beyond 4300 tokens only the first is used.
const SLOPE_10_STEPS = 8.73809524e-5;
const OFFSET_10_STEPS = 1.89833333;
const SLOPE_200_STEPS = 0.00016927;
const OFFSET_200_STEPS = 0.45666666;
const MAX_INTERPOLATED_TOKENS = 4300;

/**
 * The shift of the schedule.
 * @param {number} tokens Output tokens, width/16 * height/16.
 * @param {number} steps
 * @returns {number}
 */
export function empiricalMu(tokens, steps) {
  const at200 = SLOPE_200_STEPS * tokens + OFFSET_200_STEPS;
  if (tokens > MAX_INTERPOLATED_TOKENS) return at200;
  const at10 = SLOPE_10_STEPS * tokens + OFFSET_10_STEPS;
  const slope = (at200 - at10) / 190;
  return slope * steps + (at200 - 200 * slope);
}

/**
 * @param {number} tokens Output tokens, width/16 * height/16; a positive integer.
 * @param {number} steps A positive integer.
 * @returns {Float32Array} [steps + 1], from 1 down to 0; the transformer's timestep i is 1000 * sigmas[i].
 * @throws {KleinbildError} "bad-input" for counts that are no positive integers.
 */
export function sigmas(tokens, steps) {
  if (!Number.isSafeInteger(tokens) || tokens < 1 || !Number.isSafeInteger(steps) || steps < 1) {
    throw new KleinbildError("bad-input", `No schedule for ${tokens} tokens in ${steps} steps.`);
  }
  const shift = fround(Math.exp(empiricalMu(tokens, steps)));
  const last = 1 / steps;
  const spacing = steps > 1 ? (last - 1) / (steps - 1) : 0; // numpy.linspace(1, 1/steps, steps), in float64
  const result = new Float32Array(steps + 1);
  for (let i = 0; i < steps; i++) {
    const linear = fround(i > 0 && i === steps - 1 ? last : i * spacing + 1);
    const odds = fround(fround(1 / linear) - 1);
    result[i] = fround(shift / fround(shift + odds));
  }
  return result;
}
