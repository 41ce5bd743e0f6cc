/**
 * The text that image tools read and write under the keyword "parameters", in the form that the A1111 web interface gave it: the prompt,
 * perhaps a line "Negative prompt: ...", and a last line of facts, "Steps: 4, Seed: 5, Size: 512x512". Texts in, texts out: whether a
 * number makes sense is not judged here.
 */

/** @typedef {{ prompt: string, facts: Map<string, string> }} Parameters facts: by name, as they stand there */

const NEGATIVE = "Negative prompt:";
/** Fewer than these make no line of facts, as A1111 has it: the line belongs to the prompt then. */
const LEAST_FACTS = 3;
const MAX_FACTS_LINE = 1 << 16;
const NAME = /^[\w][\w \-/]{0,63}$/;

/**
 * @param {string} prompt
 * @param {Record<string, string | number | bigint>} facts names and values, in order
 * @returns {string}
 */
export function writeParameters(prompt, facts) {
  const line = Object.entries(facts).map(([name, value]) => `${name}: ${quoted(String(value))}`).join(", ");
  return `${prompt}\n${line}`;
}

/**
 * @param {string} text
 * @returns {Parameters | null} null when it has no line of facts, so that it may be anybody's text
 */
export function readParameters(text) {
  const lines = text.trim().split(/\r?\n/);
  const last = lines.pop() ?? "";
  const facts = last.length > MAX_FACTS_LINE ? new Map() : readFacts(last);
  if (facts.size < LEAST_FACTS) return null;
  const negative = lines.findIndex((line) => line.startsWith(NEGATIVE));
  return { prompt: lines.slice(0, negative < 0 ? lines.length : negative).join("\n").trim(), facts };
}

/** @param {string} line @returns {Map<string, string>} */
function readFacts(line) {
  /** @type {Map<string, string>} */
  const facts = new Map();
  for (let at = 0; at < line.length; ) {
    const colon = line.indexOf(":", at);
    if (colon < 0) break;
    const name = line.slice(at, colon).trim();
    let from = colon + 1;
    while (line[from] === " ") from += 1;
    const end = line[from] === '"' ? quoteEnd(line, from) : from;
    const comma = line.indexOf(",", end);
    at = comma < 0 ? line.length : comma + 1;
    const value = line.slice(from, comma < 0 ? line.length : comma).trim();
    if (NAME.test(name) && !facts.has(name)) facts.set(name, unquoted(value));
  }
  return facts;
}

/** @param {string} line @param {number} from a quotation mark @returns {number} the place behind the one that closes it */
function quoteEnd(line, from) {
  for (let at = from + 1; at < line.length; at++) {
    if (line[at] === "\\") at += 1;
    else if (line[at] === '"') return at + 1;
  }
  return from;
}

/** @param {string} value @returns {string} as JSON where it would be taken apart otherwise */
function quoted(value) {
  return /[,\n:"]/.test(value) ? JSON.stringify(value) : value;
}

/** @param {string} value @returns {string} */
function unquoted(value) {
  if (!value.startsWith('"')) return value;
  try {
    const read = JSON.parse(value);
    return typeof read === "string" ? read : value;
  } catch {
    return value;
  }
}
