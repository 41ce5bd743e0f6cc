/**
 * Numbers about many numbers.
 */

/**
 * @param {readonly number[]} values
 * @param {number} share 0 to 1: 0.5 is the median, 0.95 what 95 % of the values do not exceed
 * @returns {number} one of the values (nearest rank); NaN without any
 */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.ceil(share * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] ?? NaN;
}
