/**
 * Which kernel candidate serves each kind of work on this engine. It only keeps choices; tuner.js makes them by measuring.
 */

import { nearestKind, operatorOf, splitKind } from "./kinds.js";

/**
 * @typedef {import("../candidates.js").Candidate} Candidate
 * @typedef {import("../candidates.js").Family} Family
 */

export class Tuning {
  /** @type {Map<string, readonly string[]>} candidates' names by kind, the fastest first */
  #ranking = new Map();
  /** @type {Map<string, string | undefined>} the kind that stands for a shape nobody measured; found once */
  #nearest = new Map();
  /** @type {Map<string, Set<string>>} names of candidates that failed on this GPU, by kind without a shape */
  #dropped = new Map();
  /** @type {ReadonlySet<Family> | undefined} */
  #families;
  /** @type {((kind: string, candidates: readonly Candidate[]) => Candidate | undefined) | undefined} */
  #override;

  /**
   * The fastest known of those given, else the first that did not fail. Known is what was timed on this shape, else on the nearest
   * one, else on the shape that stands for all.
   * @template {Candidate} C
   * @param {string} kind with the shape (kinds.js) where the choice depends on it
   * @param {readonly C[]} candidates that the device can run (candidates.js), the plainest first, at least one
   * @returns {C}
   */
  pick(kind, candidates) {
    const [first] = candidates;
    if (!first) throw new RangeError(`${kind}: no kernel for this device`);
    const forced = this.#override?.(kind, candidates);
    if (forced) return /** @type {C} */ (forced);
    const wrong = this.#dropped.get(splitKind(kind).base);
    const right = candidates.filter(({ name }) => !wrong?.has(name));
    const allowed = right.filter(({ family }) => this.allows(family));
    const order = this.#order(kind);
    const fastest = order.map((name) => allowed.find((candidate) => candidate.name === name)).find(Boolean);
    return fastest ?? allowed[0] ?? right[0] ?? first;
  }

  /** @param {string} kind @returns {readonly string[]} candidates' names in the order in which they are wanted */
  #order(kind) {
    const { base } = splitKind(kind);
    if (base === kind) return this.#ranking.get(kind) ?? [];
    if (!this.#nearest.has(kind)) this.#nearest.set(kind, nearestKind(kind, this.#ranking.keys()));
    const nearest = this.#nearest.get(kind);
    return [nearest, base].flatMap((known) => (known === undefined ? [] : this.#ranking.get(known) ?? []));
  }

  /** @param {Family} family @returns {boolean} whether it may be picked from where there are others */
  allows(family) {
    return this.#families?.has(family) ?? true;
  }

  /** @param {string} kind @param {readonly string[]} names of candidates that were timed, the fastest first */
  rank(kind, names) {
    this.#ranking.set(kind, [...names]);
    this.#nearest.clear();
  }

  /**
   * @param {string} kind without a shape
   * @param {string} name of a candidate that must not serve it, whatever the shape: it computes wrong or does not run here
   */
  drop(kind, name) {
    const names = this.#dropped.get(kind) ?? new Set();
    this.#dropped.set(kind, names.add(name));
  }

  /** What decides `pick`, as JSON can hold it: results made under another identity may differ in their last bits. */
  get identity() {
    const sorted = (/** @type {Iterable<[string, Iterable<string>]>} */ entries) => (
      [...entries].map(([kind, names]) => [kind, ...names]).sort((a, b) => (String(a) < String(b) ? -1 : 1)));
    const families = this.#families ? [...this.#families].sort() : "all";
    return { ranking: sorted(this.#ranking), dropped: sorted(this.#dropped), families };
  }

  /** Forgets all rankings and failures. */
  clear() {
    this.#ranking.clear();
    this.#nearest.clear();
    this.#dropped.clear();
  }

  /** @param {Iterable<Family> | undefined} families the only ones to pick from where they have a candidate; undefined: all */
  restrict(families) {
    this.#families = families && new Set(families);
  }

  /**
   * What operators ask for while `record` runs.
   * @param {() => void} record records operators, synchronously
   * @returns {Map<string, readonly Candidate[]>} candidates by kind, in the order they were asked for
   */
  observe(record) {
    /** @type {Map<string, readonly Candidate[]>} */
    const asked = new Map();
    this.#during(record, (kind, candidates) => {
      asked.set(kind, candidates);
      return undefined;
    });
    return asked;
  }

  /**
   * Lets `record` use one candidate wherever its operator offers it, in any kind of work, whatever was ranked or dropped.
   * @template T
   * @param {string} kind of the operator's: "linear.q4.b32" stands for every "linear"
   * @param {string} name
   * @param {() => T} record records operators, synchronously
   * @returns {{result: T, used: boolean}} used: whether it was offered at all
   */
  using(kind, name, record) {
    let used = false;
    const result = this.#during(record, (asked, candidates) => {
      const found = operatorOf(asked) === operatorOf(kind) ? candidates.find((candidate) => candidate.name === name) : undefined;
      used ||= found !== undefined;
      return found;
    });
    return { result, used };
  }

  /**
   * Lets `record` use the plainest candidate of every kind.
   * @template T
   * @param {() => T} record records operators, synchronously
   * @returns {T}
   */
  plainest(record) {
    return this.#during(record, (_, candidates) => candidates.find(({ family }) => family === "plain"));
  }

  /** @template T @param {() => T} record @param {(kind: string, candidates: readonly Candidate[]) => Candidate | undefined} override */
  #during(record, override) {
    const outer = this.#override;
    this.#override = override;
    try {
      return record();
    } finally {
      this.#override = outer;
    }
  }
}
