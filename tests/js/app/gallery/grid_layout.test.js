import assert from "node:assert/strict";
import { test } from "node:test";

import { GAP, keyTarget, layoutFor, rowsInSight } from "../../../../src_js/app/gallery/grid_layout.js";

test("cells fill the width on every screen, at least two a row", () => {
  for (let width = 200; width < 4000; width += 7) {
    const { columns, cell } = layoutFor(width);
    assert.ok(columns >= 2);
    assert.ok(cell <= 260);
    const used = columns * (cell + GAP) + GAP;
    assert.ok(used <= width && (used > width - columns - 1 || cell === 260), `${width}: ${columns} of ${cell}`);
  }
  assert.equal(layoutFor(358).columns, 2);
  assert.ok(layoutFor(1180).columns >= 6);
});

test("few rows are in sight of however many there are", () => {
  const layout = { columns: 5, cell: 150, row: 200 };
  assert.deepEqual(rowsInSight(layout, 0, 0, 900), { first: 0, last: -1 });
  assert.deepEqual(rowsInSight(layout, 3, 0, 900), { first: 0, last: 0 });
  assert.deepEqual(rowsInSight(layout, 2000, -300, 900), { first: 0, last: 5 });
  assert.deepEqual(rowsInSight(layout, 2000, 20_000, 900), { first: 98, last: 106 });
  assert.deepEqual(rowsInSight(layout, 2000, 79_100, 900), { first: 393, last: 399 });
  const above = rowsInSight(layout, 2000, -5000, 900);
  assert.ok(above.last < above.first);
});

/** @param {string} key @param {number} index @param {Partial<Parameters<typeof keyTarget>[1]>} [others] of 13 pictures, 5 a row */
const target = (key, index, others) => keyTarget(key, { index, count: 13, columns: 5, page: 2, rightToLeft: false, control: false, ...others });

test("keys lead where they do in a grid", () => {
  assert.deepEqual([0, 4, 12].map((index) => target("ArrowRight", index)), [1, 5, 12]);
  assert.deepEqual([0, 5, 12].map((index) => target("ArrowLeft", index)), [0, 4, 11]);
  assert.deepEqual([0, 4].map((index) => target("ArrowRight", index, { rightToLeft: true })), [0, 3]);
  assert.deepEqual([0, 4].map((index) => target("ArrowLeft", index, { rightToLeft: true })), [1, 5]);
  assert.deepEqual([2, 7, 12].map((index) => target("ArrowUp", index)), [2, 2, 7]);
  assert.deepEqual([2, 7, 9, 12].map((index) => target("ArrowDown", index)), [7, 12, 12, 12]);
  assert.deepEqual([1, 12].map((index) => target("PageUp", index)), [1, 2]);
  assert.deepEqual([1, 4, 11].map((index) => target("PageDown", index)), [11, 12, 11]);
  assert.deepEqual([0, 7, 12].map((index) => target("Home", index)), [0, 5, 10]);
  assert.deepEqual([0, 7, 12].map((index) => target("End", index)), [4, 9, 12]);
  assert.deepEqual(["Home", "End"].map((key) => target(key, 7, { control: true })), [0, 12]);
  assert.equal(target("a", 0), null);
});
