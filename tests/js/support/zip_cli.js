/**
 * Writes a ZIP archive for a test in Python: a line of JSON on standard input, {"files": [{name, data, crc, time}], "most"?}, data in
 * base64; the archive on standard output.
 */

import { text } from "node:stream/consumers";

import { zip } from "../../../src_js/gallery/zip.js";

/** @type {{ files: { name: string, data: string, crc: number, time: number }[], most?: number }} */
const { files, most } = JSON.parse(await text(process.stdin));
const archive = zip(files.map(({ data, ...others }) => ({ ...others, file: new Blob([new Uint8Array(Buffer.from(data, "base64"))]) })), most);
process.stdout.write(new Uint8Array(await archive.arrayBuffer()));
