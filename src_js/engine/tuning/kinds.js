/**
 * Names of kinds of work. Where the best kernel depends on the output's size, a kind is a base and a shape, "linear.q4.b32.f16" and
 * "1536x3072": kernels are right or wrong for a base, and fast or slow for a shape. A shape that nobody measured is served as the one
 * nearest to it.
 */

/** @typedef {{base: string, shape: {rows: number, columns: number} | undefined}} Kind */

const SHAPED = /^(.+)\.(\d+)x(\d+)$/;

/** @param {string} base @param {number} rows of the output @param {number} columns @returns {string} */
export function shapedKind(base, rows, columns) {
  return `${base}.${rows}x${columns}`;
}

/** @param {string} kind "linear.q4.b32.f16.1536x3072", or one without a shape @returns {Kind} */
export function splitKind(kind) {
  const [, base = kind, rows, columns] = SHAPED.exec(kind) ?? [];
  return { base, shape: rows === undefined ? undefined : { rows: Number(rows), columns: Number(columns) } };
}

/** @param {string} kind "linear.q4.b32" @returns {string} "linear" */
export function operatorOf(kind) {
  return kind.split(".")[0] ?? kind;
}

/**
 * @param {string} kind
 * @param {Iterable<string>} known kinds
 * @returns {string | undefined} of those of the same base and as many columns the one of the nearest rows; where none has as many
 *   columns, the one whose rows and columns differ by the smallest factor; undefined when `kind` has no shape or none of its base has one
 */
export function nearestKind(kind, known) {
  const { base, shape } = splitKind(kind);
  if (!shape) return undefined;
  const { rows, columns } = shape;
  const distances = [...known].flatMap((other) => {
    const to = splitKind(other);
    if (to.base !== base || !to.shape) return [];
    const across = Math.abs(Math.log2(columns / to.shape.columns));
    return [{ other, across, distance: across + Math.abs(Math.log2(rows / to.shape.rows)) }];
  });
  const [nearest] = distances.sort((a, b) => Number(a.across > 0) - Number(b.across > 0) || a.distance - b.distance);
  return nearest?.other;
}
