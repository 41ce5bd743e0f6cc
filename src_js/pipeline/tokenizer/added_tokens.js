/**
 * Cuts added tokens (chat markers and the like) out of a text. Matching is leftmost, then longest, as in the Rust
 * library's Aho-Corasick automaton; a trie walked from every position gives the same, at the cost of one step per
 * character of a near-miss, and near-misses are no longer than a token's name.
 */

/** @typedef {import("./vocabulary.js").AddedToken} AddedToken */

/** @typedef {{ token: AddedToken | null, children: Map<number, TrieNode> }} TrieNode */

const SPACE = /\p{White_Space}/u;
const WORD_AT_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const WORD_AT_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const LONGEST_CHARACTER = 2; // UTF-16 units

export class AddedTokens {
  /**
   * @param {AddedToken[]} tokens
   * @param {(content: string) => string} normalize What the texts to be cut have been through.
   */
  constructor(tokens, normalize) {
    /** @type {TrieNode} */
    this.root = { token: null, children: new Map() };
    for (const token of tokens) this.insert(token, normalize(token.content));
  }

  /** @param {AddedToken} token @param {string} content */
  insert(token, content) {
    let node = this.root;
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      let child = node.children.get(unit);
      if (!child) {
        child = { token: null, children: new Map() };
        node.children.set(unit, child);
      }
      node = child;
    }
    node.token ??= token;
  }

  /**
   * @param {string} text Well-formed.
   * @returns {(string | number)[]} In order: ids of the tokens found, and the text between them.
   */
  split(text) {
    /** @type {(string | number)[]} */
    const parts = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const match = this.longestAt(text, at);
      if (!match) {
        at++;
        continue;
      }
      const { token } = match;
      let start = at;
      let end = match.end;
      at = match.end;
      if (token.single_word && isWordAround(text, start, end)) continue;
      if (token.lstrip) start = Math.max(spaceStart(text, start), done);
      if (token.rstrip) end = spaceEnd(text, end);
      if (done < start) parts.push(text.slice(done, start));
      parts.push(token.id);
      done = end;
    }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }

  /** @param {string} text @param {number} start @returns {{ token: AddedToken, end: number } | null} */
  longestAt(text, start) {
    /** @type {{ token: AddedToken, end: number } | null} */
    let longest = null;
    /** @type {TrieNode | undefined} */
    let node = this.root;
    for (let end = start; ; end++) {
      if (node.token) longest = { token: node.token, end };
      node = node.children.get(text.charCodeAt(end));
      if (!node) return longest;
    }
  }
}

/** @param {string} text @param {number} start @param {number} end @returns {boolean} A word touches the match. */
function isWordAround(text, start, end) {
  const before = text.slice(Math.max(0, start - LONGEST_CHARACTER), start);
  return WORD_AT_END.test(before) || WORD_AT_START.test(text.slice(end, end + LONGEST_CHARACTER));
}

/** @param {string} text @param {number} end @returns {number} Where the white space before `end` begins. */
function spaceStart(text, end) {
  while (end > 0 && SPACE.test(text.charAt(end - 1))) end--;
  return end;
}

/** @param {string} text @param {number} start @returns {number} Where the white space from `start` ends. */
function spaceEnd(text, start) {
  while (start < text.length && SPACE.test(text.charAt(start))) start++;
  return start;
}
