/**
 * What a measurement is worth: its rate, and the share of the measured peak.
 */

/** @typedef {import("../bench_protocol.js").Row} Row */
/** @typedef {import("../bench_protocol.js").Peak} Peak */

/** @type {Peak} */
export const NO_PEAK = Object.freeze({ f32Tflops: 0, f16Tflops: 0, copyGigabytesPerSecond: 0, tflops: 0 });

/**
 * @param {Row} row with `seconds`, and `flops` or `bytes`, for anything to be added
 * @param {Peak} peak
 * @returns {Row} with rate and percentage
 */
export function rated(row, peak) {
  const { seconds, flops, bytes } = row;
  if (!seconds) return row;
  const rates = {
    ...(flops !== undefined && { tflops: flops / seconds / 1e12 }),
    ...(bytes !== undefined && { gigabytesPerSecond: bytes / seconds / 1e9 }),
  };
  const share = rates.tflops !== undefined ? rates.tflops / peak.tflops : (rates.gigabytesPerSecond ?? NaN) / peak.copyGigabytesPerSecond;
  return { ...row, ...rates, ...(row.group !== "peak" && Number.isFinite(share) && { percent: 100 * share }) };
}
