/**
 * The arithmetic of the gallery's grid: how many columns there are, which rows are in sight, and where a key leads. No DOM.
 */

/** In CSS pixels. Cells grow with the screen, up to a bound. */
const LEAST_CELL = 150;
const LEAST_CELL_WIDE = 230;
const MOST_CELL = 260;
const CELLS_ACROSS = 9;
const FEWEST_COLUMNS = 2;
export const GAP = 10;
/** Perforations above and below a row's frames, and the space to the next row. */
export const STRIP_EDGE = 26;
export const ROW_GAP = 14;
/** Rows beyond what is in sight, so that scrolling finds them ready. */
const OVERSCAN_ROWS = 2;

/** @typedef {{ columns: number, cell: number, row: number }} Layout cell and row: sides in CSS pixels */

/** @param {number} width of the grid in CSS pixels @returns {Layout} */
export function layoutFor(width) {
  const least = Math.min(LEAST_CELL_WIDE, Math.max(LEAST_CELL, width / CELLS_ACROSS));
  const columns = Math.max(FEWEST_COLUMNS, Math.floor((width - GAP) / (least + GAP)));
  const cell = Math.max(1, Math.min(MOST_CELL, Math.floor((width - GAP) / columns) - GAP));
  return { columns, cell, row: cell + 2 * STRIP_EDGE + ROW_GAP };
}

/**
 * @param {Layout} layout
 * @param {number} count of pictures
 * @param {number} top of the window below the grid's top, in CSS pixels; negative above it
 * @param {number} height of the window
 * @returns {{ first: number, last: number }} rows; last < first where there is none
 */
export function rowsInSight({ columns, row }, count, top, height) {
  const rows = Math.ceil(count / columns);
  const first = Math.max(0, Math.floor(top / row) - OVERSCAN_ROWS);
  const last = Math.min(rows - 1, Math.floor((top + height) / row) + OVERSCAN_ROWS);
  return { first, last };
}

/**
 * @param {string} key as keyboard events name it
 * @param {object} where
 * @param {number} where.index of the picture that has the focus
 * @param {number} where.count of pictures
 * @param {number} where.columns
 * @param {number} where.page rows that a page up or down passes
 * @param {boolean} where.rightToLeft
 * @param {boolean} where.control whether Ctrl is held: Home and End then lead to the first and last picture
 * @returns {number | null} the index that the key leads to, null for other keys
 */
export function keyTarget(key, { index, count, columns, page, rightToLeft, control }) {
  const last = count - 1;
  const rowStart = index - (index % columns);
  const forwards = rightToLeft ? "ArrowLeft" : "ArrowRight";
  const backwards = rightToLeft ? "ArrowRight" : "ArrowLeft";
  const clamp = (/** @type {number} */ target) => Math.max(0, Math.min(last, target));
  switch (key) {
    case forwards: return clamp(index + 1);
    case backwards: return clamp(index - 1);
    case "ArrowUp": return index < columns ? index : index - columns;
    case "ArrowDown": return rowStart + columns > last ? index : clamp(index + columns);
    case "PageUp": return index - columns * Math.min(page, Math.floor(index / columns));
    case "PageDown": return clamp(index + columns * Math.min(page, Math.floor(last / columns) - Math.floor(index / columns)));
    case "Home": return control ? 0 : rowStart;
    case "End": return control ? last : clamp(rowStart + columns - 1);
    default: return null;
  }
}
