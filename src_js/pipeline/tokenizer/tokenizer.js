/**
 * Text to token ids, exactly as Python's `tokenizers` does for Qwen2 and Qwen3 tokenizers: added tokens are cut out of
 * the raw text, what remains is normalized, cut into pieces by the word pattern and merged byte by byte. Encoding only.
 */

import { AddedTokens } from "./added_tokens.js";
import { BytePairEncoder } from "./bpe.js";
import { nfc } from "./nfc.js";
import { pieceEnd } from "./split_qwen2.js";
import { readVocabulary } from "./vocabulary.js";

/** @typedef {import("./vocabulary.js").VocabularyFile} Vocabulary The JSON file, untrusted. */

/**
 * @typedef {object} EncodedPrompt
 * @property {Int32Array} inputIds [max_length] padded on the right
 * @property {Int32Array} attentionMask [max_length] 1 for a token, 0 for padding
 * @property {number} length How many are tokens.
 * @property {boolean} truncated Whether the prompt was too long and lost its end.
 */

export class Tokenizer {
  /**
   * @param {Vocabulary} file
   * @throws {import("../../errors.js").KleinbildError} "bad-manifest"
   */
  constructor(file) {
    const vocabulary = readVocabulary(file);
    this.classes = vocabulary.classes;
    this.template = vocabulary.template;
    this.padId = vocabulary.padId;
    this.maxLength = vocabulary.maxLength;
    this.normalize = vocabulary.normalizer === "NFC" ? nfc : (/** @type {string} */ text) => text;
    this.rawAdded = new AddedTokens(
      vocabulary.added.filter((token) => !token.normalized),
      (content) => content,
    );
    this.normalizedAdded = new AddedTokens(
      vocabulary.added.filter((token) => token.normalized),
      this.normalize,
    );
    this.bpe = new BytePairEncoder(vocabulary);
    this.utf8 = new TextEncoder();
  }

  /**
   * @param {string} text Lone surrogates count as U+FFFD. Added tokens in it are taken as such.
   * @returns {number[]}
   */
  encode(text) {
    return this.encodeUpTo(text, Infinity);
  }

  /**
   * The prompt in the chat template, cut or padded on the right to the text encoder's length.
   * @param {string} prompt
   * @returns {EncodedPrompt}
   */
  encodePrompt(prompt) {
    const ids = this.encodeUpTo(this.template.prefix + prompt + this.template.suffix, this.maxLength);
    const length = Math.min(ids.length, this.maxLength);
    const inputIds = new Int32Array(this.maxLength).fill(this.padId);
    inputIds.set(ids.slice(0, length));
    const attentionMask = new Int32Array(this.maxLength).fill(1, 0, length);
    return { inputIds, attentionMask, length, truncated: ids.length > length };
  }

  /**
   * @param {string} text
   * @param {number} limit Work stops once there are more ids than this.
   * @returns {number[]}
   */
  encodeUpTo(text, limit) {
    /** @type {number[]} */
    const ids = [];
    for (const raw of this.rawAdded.split(text.toWellFormed())) {
      if (ids.length > limit) break;
      if (typeof raw === "number") {
        ids.push(raw);
        continue;
      }
      for (const part of this.normalizedAdded.split(this.normalize(raw))) {
        if (typeof part === "number") ids.push(part);
        else this.encodeWords(part, limit, ids);
      }
    }
    return ids;
  }

  /** @param {string} text Normalized, without added tokens. @param {number} limit @param {number[]} ids */
  encodeWords(text, limit, ids) {
    for (let start = 0; start < text.length && ids.length <= limit; ) {
      const end = pieceEnd(text, start, this.classes);
      this.bpe.encode(this.utf8.encode(text.slice(start, end)), ids);
      start = end;
    }
  }
}
