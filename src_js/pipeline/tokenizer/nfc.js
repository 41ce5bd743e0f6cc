/**
 * Unicode's NFC as the Rust library behind Python's `tokenizers` does it: with the tables of an older Unicode than the
 * browser's. To those tables a mark assigned later is an unknown character: it stays put, joins nothing and lets
 * nothing reorder across it. So the text between such characters is normalized on its own, by the engine; Unicode
 * never changes what it once assigned, so the two agree there.
 */

// Inclusive ranges: combining marks and members of canonical compositions newer than the library's tables
// (found by running both over every code point up to Unicode 17).
const LATER = [
  0x7fd, 0x7fd, 0x897, 0x89f, 0x8ca, 0x8d3, 0x9fe, 0x9fe, 0xc3c, 0xc3c, 0xd3b, 0xd3c, 0xeba, 0xeba, 0x1715, 0x1715,
  0x1abf, 0x1add, 0x1ae0, 0x1aeb, 0x1df6, 0x1dfa, 0xa82c, 0xa82c, 0x105c9, 0x105c9, 0x105d2, 0x105d2, 0x105da, 0x105da,
  0x105e4, 0x105e4, 0x10d24, 0x10d27, 0x10d69, 0x10d6d, 0x10eab, 0x10eac, 0x10efa, 0x10efb, 0x10efd, 0x10eff, 0x10f46,
  0x10f50, 0x10f82, 0x10f85, 0x11070, 0x11070, 0x1133b, 0x1133b, 0x11382, 0x11385, 0x1138b, 0x1138b, 0x1138e, 0x1138e,
  0x11390, 0x11391, 0x113b8, 0x113b8, 0x113bb, 0x113bb, 0x113c2, 0x113c2, 0x113c5, 0x113c5, 0x113c7, 0x113c9, 0x113ce,
  0x113d0, 0x1145e, 0x1145e, 0x11839, 0x1183a, 0x11930, 0x11930, 0x11935, 0x11935, 0x11938, 0x11938, 0x1193d, 0x1193e,
  0x11943, 0x11943, 0x119e0, 0x119e0, 0x11a34, 0x11a34, 0x11a47, 0x11a47, 0x11a99, 0x11a99, 0x11d42, 0x11d42, 0x11d44,
  0x11d45, 0x11d97, 0x11d97, 0x11f41, 0x11f42, 0x1611e, 0x16129, 0x1612f, 0x1612f, 0x16d63, 0x16d63, 0x16d67, 0x16d6a,
  0x16ff0, 0x16ff1, 0x1e08f, 0x1e08f, 0x1e130, 0x1e136, 0x1e2ae, 0x1e2ae, 0x1e2ec, 0x1e2ef, 0x1e4ec, 0x1e4ef, 0x1e5ee,
  0x1e5ef, 0x1e6e3, 0x1e6e3, 0x1e6e6, 0x1e6e6, 0x1e6ee, 0x1e6ef, 0x1e6f5, 0x1e6f5,
];

/** @returns {string} The ranges as the inside of a character class. */
function characterClass() {
  let inside = "";
  for (let i = 0; i < LATER.length; i += 2) {
    const [first, last] = LATER.slice(i, i + 2);
    inside += `\\u{${first?.toString(16)}}-\\u{${last?.toString(16)}}`;
  }
  return inside;
}

const LATER_RUN = new RegExp(`([${characterClass()}]+)`, "u");
// More marks on end than any writing needs, and few enough that the engine's quadratic sorting of them is nothing.
const LONG_RUN = new RegExp(`[^\\P{M}${characterClass()}]{33,}`, "gu");

/**
 * The order of canonical combining classes, from the engine: its NFD sorts one of each mark, and two neighbours that
 * it leaves alone the other way round are of one class.
 * @param {Set<string>} marks That do not decompose.
 * @returns {Map<string, number>} From 1 up, the same for marks of one class; those of class 0 are left out.
 */
function ranksOf(marks) {
  // of the classes 1 and 240, the ends of the scale: any mark that is not of class 0 changes places with one of them
  const moves = (/** @type {string} */ mark) =>
    [`\u0345${mark}`, `${mark}\u0334`].some((pair) => pair.normalize("NFD") !== pair);
  const ranks = new Map();
  let rank = 0;
  let previous = "";
  for (const mark of [...marks].filter(moves).join("").normalize("NFD")) {
    const swapped = mark + previous;
    if (!previous || swapped.normalize("NFD") !== swapped) rank += 1;
    ranks.set(mark, rank);
    previous = mark;
  }
  return ranks;
}

/**
 * Engines put the marks after a letter into canonical order in time that grows with the square of their number
 * (V8: 100 000 marks take half a minute). So long runs are decomposed and ordered here; the text stays canonically
 * equivalent, which is to say its NFC stays the same, and the engine finds it in linear time.
 * @param {string} text
 * @returns {string}
 */
function withLongRunsOrdered(text) {
  const runs = text.match(LONG_RUN);
  if (!runs) return text;
  /** @type {Map<string, string[]>} */
  const decomposed = new Map();
  for (const mark of new Set(runs.join(""))) decomposed.set(mark, [...mark.normalize("NFD")]);
  const ranks = ranksOf(new Set([...decomposed.values()].flat()));
  const count = Math.max(0, ...ranks.values()) + 1;

  return text.replace(LONG_RUN, (run) => {
    let ordered = "";
    const byRank = Array(count).fill(""); // the marks not placed yet, those of one rank as they came
    for (const mark of run) {
      for (const part of decomposed.get(mark) ?? []) {
        const rank = ranks.get(part);
        if (rank !== undefined) byRank[rank] += part;
        else {
          ordered += byRank.join("") + part; // nothing moves across a mark of class 0
          byRank.fill("");
        }
      }
    }
    return ordered + byRank.join("");
  });
}

/**
 * @param {string} text Well-formed.
 * @returns {string}
 */
export function nfc(text) {
  const ordered = withLongRunsOrdered(text);
  if (!LATER_RUN.test(ordered)) return ordered.normalize("NFC");
  const parts = ordered.split(LATER_RUN); // the odd ones are the later characters themselves
  return parts.map((part, i) => (i % 2 ? part : part.normalize("NFC"))).join("");
}
