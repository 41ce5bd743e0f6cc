/**
 * Not a test: the page's tokenizer as a filter, for tests that compare it with a reference in another process.
 * `node tokenize_cli.js <vocabulary.json>` reads a JSON array of strings and writes the array of their ids;
 * `node tokenize_cli.js --nfc` writes them normalized instead.
 */

import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { nfc } from "../../../src_js/pipeline/tokenizer/nfc.js";
import { Tokenizer } from "../../../src_js/pipeline/tokenizer/tokenizer.js";

const path = process.argv[2] ?? "";
/** @type {string[]} */
const strings = JSON.parse(await text(process.stdin));
if (path === "--nfc") {
  process.stdout.write(JSON.stringify(strings.map(nfc)));
} else {
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(path, "utf8")));
  process.stdout.write(JSON.stringify(strings.map((string) => tokenizer.encode(string))));
}
