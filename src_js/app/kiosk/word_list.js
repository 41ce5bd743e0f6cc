/**
 * The operator's list of words that no prompt may hold. Spelling does not hide a word: letters are compared without case, width, accents
 * or vowel points, digits and signs count as the letters they resemble, and neither stretched letters nor single letters with signs
 * between them get through. Words are whole words, in any script: "ass" is not in "glass". It keeps honest people decent; it is no wall.
 */

/** What passes for a letter. */
const LOOKALIKES = new Map(Object.entries({
  0: "o", 1: "i", 3: "e", 4: "a", 5: "s", 7: "t", 8: "b", 9: "g", "@": "a", $: "s", "!": "i", "|": "i", "\u20ac": "e", "+": "t",
}));
/** Letters that have no accent to take off, yet are written differently where a keyboard lacks them. */
const SPELLINGS = new Map(Object.entries({
  \u00df: "ss", \u00e6: "ae", \u00f8: "o", \u0153: "oe", \u0111: "d", \u0142: "l", \u0131: "i",
  \u0649: "\u064a", \u0629: "\u0647", \u0623: "\u0627", \u0625: "\u0627", \u0622: "\u0627", \u0671: "\u0627",
}));
/** Marks that combine, characters that nobody sees, and the bar that stretches Arabic letters. */
const UNSEEN = /[\p{M}\p{Cf}\u0640]/gu;
const SIGNS = /[^\p{L}\p{N}]+/u;

/** @param {string} text @returns {string} without case, width, accents and what cannot be seen */
function fold(text) {
  const plain = text.normalize("NFKC").toLowerCase().normalize("NFKD").replace(UNSEEN, "");
  return Array.from(plain, (character) => SPELLINGS.get(character) ?? character).join("");
}

/** @param {string} text folded @returns {string} with letters for what resembles them */
function unmask(text) {
  return Array.from(text, (character) => LOOKALIKES.get(character) ?? character).join("");
}

/** @param {string} word @returns {string} with every run of one letter as that letter */
function squeeze(word) {
  return word.replace(/(\p{L})\1+/gu, "$1");
}

/** @param {string} text @returns {string[]} */
function words(text) {
  return text.split(SIGNS).filter((word) => word !== "");
}

/**
 * Runs of at least three single characters, joined: "b l o o d", "b.l.o.o.d".
 * @param {string[]} singles
 * @returns {string[]}
 */
function spelledOut(singles) {
  /** @type {string[]} */
  const found = [];
  let run = "";
  for (const word of [...singles, "  "]) {
    if (Array.from(word).length === 1) run += word;
    else {
      if (Array.from(run).length >= 3) found.push(run);
      run = "";
    }
  }
  return found;
}

/** @param {string} text folded @returns {string[][]} the readings of a text, each as words */
function readings(text) {
  const plain = words(text);
  const unmasked = words(unmask(text));
  return [plain, unmasked, spelledOut(plain), spelledOut(unmasked)];
}

export class WordList {
  /** @type {Map<string, string[][]>} phrases of folded words, by their first one, squeezed */
  #phrases = new Map();

  /** @param {string[]} refused words, or phrases of several */
  constructor(refused) {
    for (const entry of refused) {
      const phrase = words(fold(entry));
      const first = squeeze(phrase[0] ?? "");
      if (first !== "") this.#phrases.set(first, [...(this.#phrases.get(first) ?? []), phrase]);
    }
  }

  /** @param {string} prompt @returns {boolean} whether it holds a refused word */
  refuses(prompt) {
    return readings(fold(prompt)).some((reading) => {
      const squeezed = reading.map(squeeze);
      return squeezed.some((first, start) =>
        this.#phrases.get(first)?.some((phrase) => holds(reading, squeezed, phrase, start)));
    });
  }
}

/**
 * A word may be stretched, but not shortened: "asssss" is "ass", "as" is not.
 * @param {string[]} reading
 * @param {string[]} squeezed the same, squeezed
 * @param {string[]} phrase
 * @param {number} start
 * @returns {boolean} whether the phrase stands there
 */
function holds(reading, squeezed, phrase, start) {
  return phrase.every((word, index) =>
    squeezed[start + index] === squeeze(word) && (reading[start + index] ?? "").length >= word.length);
}
