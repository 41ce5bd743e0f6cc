/**
 * Writes PNG files, or tells what is in them, for a test in Python: `node png_cli.js write|read`. A line of JSON a file on standard
 * input, and one on standard output; bytes are base64.
 */

import { createInterface } from "node:readline";

import { encodePng } from "../../../src_js/image/png.js";
import { readPictureFile } from "../../../src_js/image/picture_text.js";
import { readPng } from "../../../src_js/image/png_reader.js";

const [, , mode] = process.argv;
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(mode === "write" ? await write(asked) : await read(asked)));
}

/** @param {{ width: number, height: number, rgba: string, text: Record<string, string>, json: Record<string, unknown> }} picture */
async function write({ rgba, ...others }) {
  return Buffer.from(await encodePng({ ...others, rgba: new Uint8Array(Buffer.from(rgba, "base64")) })).toString("base64");
}

/** @param {{ png: string, keywords: string[] }} asked */
async function read({ png, keywords }) {
  const file = new Blob([new Uint8Array(Buffer.from(png, "base64"))]);
  try {
    const { width, height, texts } = await readPng(file, keywords);
    return { width, height, texts: Object.fromEntries(texts), text: (await readPictureFile(file)).text };
  } catch (error) {
    return { refused: String(error) };
  }
}
