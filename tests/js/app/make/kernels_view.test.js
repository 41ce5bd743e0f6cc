/** The list of kernels in the diagnosis, on a page that is a few objects. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { KernelsView } from "../../../../src_js/app/make/kernels_view.js";
import { words } from "../../support/words.js";

/** As much of an element as the view touches. */
class FakeElement {
  textContent = "";
  className = "";
  hidden = true;
  open = false;
  /** @type {FakeElement[]} */
  children = [];

  toggleAttribute() {}

  addEventListener() {}

  /** @param {...FakeElement} children */
  replaceChildren(...children) {
    this.children = children;
  }
}

const scope = /** @type {any} */ (globalThis);
const NAMES = ["document", "HTMLElement", "HTMLDetailsElement", "HTMLButtonElement"];
const before = NAMES.map((name) => [name, scope[name]]);
after(() => Object.assign(scope, Object.fromEntries(before)));

test("kernels are listed by kind, the chosen one marked; each shape of it takes one line", () => {
  /** @type {Record<string, FakeElement>} */
  const elements = {};
  Object.assign(scope, {
    HTMLElement: FakeElement, HTMLDetailsElement: FakeElement, HTMLButtonElement: FakeElement,
    document: { getElementById: (/** @type {string} */ id) => (elements[id] ??= new FakeElement()), createElement: () => new FakeElement() },
  });
  const view = new KernelsView(words(), { onTune: () => {} });
  const row = (/** @type {string} */ name, /** @type {number} */ tflops, dropped = "") => (
    { name, family: /** @type {const} */ ("plain"), tflops, error: 2.5e-4, dropped });
  const shape = (/** @type {string} */ kind, /** @type {ReturnType<typeof row>[]} */ ...candidates) => (
    { kind, chosen: candidates[0]?.name ?? "", candidates });
  view.show({
    faults: [], seconds: 3,
    kinds: [
      {
        kind: "linear.q4.b32.f16", chosen: "wide", problem: "", candidates: [row("wide", 60), row("tall", 55), row("bad", 0, "computes wrong")],
        shapes: [
          shape("linear.q4.b32.f16.1536x27648", row("wide", 60.5), row("tall", 54)),
          shape("linear.q4.b32.f16.768x3072", row("tall", 57), row("wide", 43)),
        ],
      },
      { kind: "attention.128", chosen: "one", problem: "", candidates: [row("one", 0)], shapes: [] },
    ],
  });
  assert.deepEqual(elements["kernels-list"]?.children.map(({ textContent, className }) => [textContent, className]), [
    ["linear.q4.b32.f16", ""],
    ["wide: 60.0 TFLOP/s, error 2.5e-4", "kernels__chosen"], ["tall: 55.0 TFLOP/s, error 2.5e-4", "kernels__other"],
    ["bad: computes wrong", "kernels__other"],
    ["1536 x 27648: wide: 60.5 TFLOP/s, error 2.5e-4", "kernels__chosen"],
    ["768 x 3072: tall: 57.0 TFLOP/s, error 2.5e-4", "kernels__chosen"],
    ["attention.128", ""], ["one: not timed, error 2.5e-4", "kernels__chosen"],
  ]);
  assert.equal(elements["kernels"]?.open, false, "nothing is wrong");
});
