/**
 * What a made-up model needs before its text encoder: a vocabulary of single bytes and the template's marks, and an embedding table
 * that is worked out where it is read.
 */

/** @typedef {import("../pipeline/tokenizer/tokenizer.js").Vocabulary} Vocabulary */

const BYTES = 256;
const MARK = /<[^<>\n]+>/g;
const LETTERS = Object.freeze({ L: [0x41, 0x5a, 0x61, 0x7a], N: [0x30, 0x39], s: [0x09, 0x0d, 0x20, 0x20] });
/** f16 of magnitude 2^-6 to 2^-5, as embeddings have: sign and fraction are the made-up bits. */
const EMBEDDING_EXPONENT = 9 << 10;
const SIGN_AND_FRACTION = 0x83ff;
const MULTIPLIER = 0x9e3779b1;

/** @param {import("../manifest.js").ModelConfig} config @returns {Vocabulary} a token a byte, and one for each mark of the template */
export function syntheticVocabulary({ prompt, text_encoder: { vocab_size: size } }) {
  const { template_prefix: prefix, template_suffix: suffix, text_seq_len: length } = prompt;
  const marks = [...new Set(`${prefix}${suffix}`.match(MARK) ?? [])];
  if (size <= BYTES + marks.length) throw new RangeError(`a vocabulary of ${size} tokens has no room for bytes and marks`);
  return {
    schema: 1, normalizer: "", split: "qwen2", classes: { L: [...LETTERS.L], N: [...LETTERS.N], s: [...LETTERS.s] },
    tokens: Array.from({ length: BYTES }, (_, byte) => byteLetter(byte)), merges: [],
    added: marks.map((content, i) => (
      { id: BYTES + i, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false })),
    template: { prefix, suffix }, pad_id: BYTES + marks.length, max_length: length,
  };
}

/** @param {number} byte @returns {string} its letter in the byte-level alphabet: printable Latin-1 stands for itself */
function byteLetter(byte) {
  const printable = (/** @type {number} */ b) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b !== 0xad);
  if (printable(byte)) return String.fromCharCode(byte);
  const before = Array.from({ length: byte }, (_, b) => b).filter((b) => !printable(b)).length;
  return String.fromCharCode(0x100 + before);
}

/**
 * Stands for the store: halves of the embedding table as a function of where they lie.
 * @param {string} _sha256
 * @param {number} offset bytes
 * @param {Uint8Array} target
 */
export function readMadeUp(_sha256, offset, target) {
  for (let i = 0; i < target.length; i += 2) {
    const hash = Math.imul((offset + i) >> 1, MULTIPLIER);
    const half = ((hash ^ (hash >>> 15)) & SIGN_AND_FRACTION) | EMBEDDING_EXPONENT;
    target[i] = half & 255;
    if (i + 1 < target.length) target[i + 1] = half >> 8;
  }
}
