/**
 * What kernels/units.wgsl handles at once: four neighbouring elements where every row of every view starts on fours, else one.
 */

/** @typedef {import("../tensor.js").Tensor} Tensor */

/**
 * @param {number} columns of a row
 * @param {...Tensor} views
 * @returns {{flags: string[], count: (elements: number) => number}} count: units of so many elements
 */
export function unitsOf(columns, ...views) {
  const quads = columns % 4 === 0 && views.every((view) => view.vec4Aligned);
  return { flags: quads ? ["QUADS"] : [], count: (elements) => (quads ? elements / 4 : elements) };
}
