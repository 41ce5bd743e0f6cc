/**
 * What this site really keeps on the device: its own files, counted one by one. The browser's estimate is a number that it makes up to
 * give nothing away; this one is what the disk holds for us.
 */

/**
 * @typedef {{ name: string, files: number, bytes: number }} Kept the files below one folder of the store
 */

/** The store's own folder; below it one a purpose. */
const ROOT = "kleinbild";

/**
 * @param {FileSystemDirectoryHandle} root of the origin's private files
 * @returns {Promise<Kept[]>} one for each folder below the store's own, and one named "" for whatever else there is; most bytes first
 */
export async function countStorage(root) {
  /** @type {Map<string, Kept>} */
  const kept = new Map();
  for await (const { path, bytes } of filesBelow(root, [])) {
    const [first, second, ...rest] = path;
    const name = first === ROOT && rest.length > 0 && second !== undefined ? second : "";
    const sum = kept.get(name) ?? { name, files: 0, bytes: 0 };
    kept.set(name, { name, files: sum.files + 1, bytes: sum.bytes + bytes });
  }
  return [...kept.values()].sort((a, b) => b.bytes - a.bytes);
}

/** @param {readonly Pick<Kept, "bytes">[]} kept @returns {number} */
export function bytesOf(kept) {
  return kept.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * @param {FileSystemDirectoryHandle} folder @param {string[]} above names of the folders on the way
 * @returns {AsyncGenerator<{path: string[], bytes: number}>} a file that goes while it is counted counts nothing
 */
async function* filesBelow(folder, above) {
  const entries = /** @type {AsyncIterable<[string, FileSystemHandle]>} */ (/** @type {any} */ (folder).entries());
  for await (const [name, handle] of entries) {
    const path = [...above, name];
    if (handle.kind === "directory") yield* filesBelow(/** @type {FileSystemDirectoryHandle} */ (handle), path);
    else yield { path, bytes: await sizeOf(/** @type {FileSystemFileHandle} */ (handle)) };
  }
}

/** @param {FileSystemFileHandle} handle */
async function sizeOf(handle) {
  try {
    return (await handle.getFile()).size;
  } catch {
    return 0;
  }
}
