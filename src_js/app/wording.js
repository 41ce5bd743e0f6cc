/**
 * Measured figures as engineers write them, the same in every language. No DOM.
 */

/** @param {number} bytes @returns {string} decimal units, as download pages and disks count */
export function formatBytes(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** @param {number} tflops @returns {string} in the unit that suits: software adapters do a few GFLOP/s */
export function flopsText(tflops) {
  return tflops >= 0.1 ? `${threeDigits(tflops)} TFLOP/s` : `${threeDigits(1000 * tflops)} GFLOP/s`;
}

/** @param {number} value @returns {string} three digits, or all of those before the point */
export function threeDigits(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
