/**
 * Models in a folder outside the browser: what lies in it, laid out as a site is (models/, w/). From a directory handle or from the list of
 * files that an <input webkitdirectory> gives. The folder is a stranger's: depth, number and names are bounded; what a file holds is
 * checked by whoever reads it.
 */

import { KleinbildError } from "../errors.js";

/** @typedef {{ path: string, open: () => Promise<File> }} FoundFile path from the chosen folder */
/** @typedef {{ manifest: FoundFile, files: Map<string, FoundFile> }} FoundModel files: those of w/ beside it, by name */

/** A stick's root, the folder of a site on it, a folder of several sites. */
const MAX_DEPTH = 4;
const MAX_FILES = 50_000;
const MANIFEST = /^((?:[^/]+\/)*)models\/([A-Za-z0-9][A-Za-z0-9._-]{0,99})\.json$/;
const WEIGHTS = /^((?:[^/]+\/)*)w\/([0-9a-f]{64}\.(?:bin|json)(?:\.gz)?)$/;
const INDEX = "index";

/** @param {FileSystemDirectoryHandle} directory @returns {Promise<FoundFile[]>} @throws {KleinbildError} "bad-input" */
export async function filesOfDirectory(directory) {
  /** @type {FoundFile[]} */
  const found = [];
  /** @param {FileSystemDirectoryHandle} folder @param {string} prefix @param {number} depth */
  const walk = async (folder, prefix, depth) => {
    for await (const [name, handle] of folder.entries()) {
      const path = prefix + name;
      if (handle.kind === "directory") {
        if (depth < MAX_DEPTH && !name.startsWith(".")) await walk(/** @type {FileSystemDirectoryHandle} */ (handle), `${path}/`, depth + 1);
      } else if (MANIFEST.test(path) || WEIGHTS.test(path)) {
        if (found.length === MAX_FILES) throw tooMany();
        found.push({ path, open: () => /** @type {FileSystemFileHandle} */ (handle).getFile() });
      }
    }
  };
  await walk(directory, "", 0);
  return found;
}

/** @param {readonly File[]} files with webkitRelativePath @returns {FoundFile[]} @throws {KleinbildError} "bad-input" */
export function filesOfList(files) {
  const found = [...files]
    .map((file) => ({ path: file.webkitRelativePath, open: async () => file }))
    .filter(({ path }) => path.split("/").length <= MAX_DEPTH + 2 && (MANIFEST.test(path) || WEIGHTS.test(path)));
  if (found.length > MAX_FILES) throw tooMany();
  return found;
}

/** @param {readonly FoundFile[]} found @returns {FoundModel[]} each manifest with the weights beside it */
export function modelsIn(found) {
  /** @type {Map<string, Map<string, FoundFile>>} */
  const weights = new Map();
  for (const file of found) {
    const [, base, name] = WEIGHTS.exec(file.path) ?? [];
    if (base === undefined || name === undefined) continue;
    const beside = weights.get(base) ?? new Map();
    beside.set(name, file);
    weights.set(base, beside);
  }
  return found.flatMap((manifest) => {
    const [, base, id] = MANIFEST.exec(manifest.path) ?? [];
    if (base === undefined || id === INDEX) return [];
    return [{ manifest, files: weights.get(base) ?? new Map() }];
  });
}

/**
 * Writes a file whole: the browser writes aside and renames.
 * @param {FileSystemDirectoryHandle} directory
 * @param {string} path relative, folders are made as needed
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @throws {KleinbildError} "storage-full", "bad-input" when the folder cannot be written
 */
export async function writeFile(directory, path, bytes) {
  try {
    const [name, folder] = await reach(directory, path, true);
    const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await writable.write(bytes);
    await writable.close();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (error.name === "QuotaExceededError") {
      throw new KleinbildError("storage-full", `The chosen folder has no room for ${path}. Make room there, then export again: ` +
        "what is already written is kept.", { cause: error });
    }
    throw new KleinbildError("bad-input", `${path} could not be written (${error.message}). Choose a folder that you may write to.`, { cause: error });
  }
}

/** @param {FileSystemDirectoryHandle} directory @param {string} path @returns {Promise<File | undefined>} undefined when there is none */
export async function readFile(directory, path) {
  try {
    const [name, folder] = await reach(directory, path, false);
    return await (await folder.getFileHandle(name)).getFile();
  } catch {
    return undefined;
  }
}

/** @param {FileSystemDirectoryHandle} directory @param {string} path @param {boolean} create @returns {Promise<[string, FileSystemDirectoryHandle]>} */
async function reach(directory, path, create) {
  const folders = path.split("/");
  const name = /** @type {string} */ (folders.pop());
  let folder = directory;
  for (const part of folders) folder = await folder.getDirectoryHandle(part, { create });
  return [name, folder];
}

function tooMany() {
  return new KleinbildError("bad-input", `This folder holds more than ${MAX_FILES} files of models. Choose the folder of one site.`);
}
