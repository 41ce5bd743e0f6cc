/** Letting people choose a folder, each browser in its way. */

/**
 * @typedef {{ directory: FileSystemDirectoryHandle | null, files: File[] | null }} ChosenFolder
 * @typedef {{ showDirectoryPicker?: (options: { id: string, mode: "read"|"readwrite" }) => Promise<FileSystemDirectoryHandle> }} PickerWindow
 */

const PICKER_ID = "kleinbild-models";
const pickers = /** @type {PickerWindow} */ (globalThis);

/** @returns {boolean} whether this browser can write to a folder */
export function canWriteFolders() {
  return typeof pickers.showDirectoryPicker === "function";
}

/** @param {HTMLInputElement} input with webkitdirectory, for browsers without a picker @returns {Promise<ChosenFolder | undefined>} undefined: none chosen */
export async function chooseToRead(input) {
  if (!pickers.showDirectoryPicker) return { directory: null, files: await filesFrom(input) };
  const directory = await pick("read");
  return directory && { directory, files: null };
}

/** @returns {Promise<FileSystemDirectoryHandle | undefined>} undefined: none chosen */
export function chooseToWrite() {
  return pick("readwrite");
}

/** @param {"read"|"readwrite"} mode */
async function pick(mode) {
  try {
    return await pickers.showDirectoryPicker?.({ id: PICKER_ID, mode });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return undefined;
    throw error;
  }
}

/** @param {HTMLInputElement} input @returns {Promise<File[] | null>} null: none chosen */
function filesFrom(input) {
  return new Promise((resolve) => {
    const settle = () => {
      input.removeEventListener("change", settle);
      input.removeEventListener("cancel", settle);
      const files = [...(input.files ?? [])];
      input.value = "";
      resolve(files.length > 0 ? files : null);
    };
    input.addEventListener("change", settle);
    input.addEventListener("cancel", settle);
    input.click();
  });
}
