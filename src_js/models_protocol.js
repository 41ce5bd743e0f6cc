/**
 * What the page and the worker of the models say to each other. That worker is another one than the one that makes pictures, so that
 * neither waits for the other and a lost GPU ends no download; both see the same files. Messages only: nothing here sends or receives one.
 */

/**
 * @typedef {{ type: "list", job: number }} ListMessage answers "listed"; at any time
 * @typedef {{ type: "install", job: number, id: string, replaces: string }} ModelInstallMessage replaces: the older revision that goes once this
 *   one is whole, "" for none
 * @typedef {{ type: "verify", job: number, id: string }} VerifyMessage
 * @typedef {{ type: "repair", job: number, id: string, names: string[] | null }} RepairMessage names: of damaged files, null for all of them
 * @typedef {{ type: "remove", job: number, id: string }} RemoveMessage
 * @typedef {{ type: "clean", job: number }} CleanMessage removes what no installed model needs
 * @typedef {{ type: "import-folder", job: number, directory: FileSystemDirectoryHandle | null, files: File[] | null }} ImportMessage
 * @typedef {{ type: "export-folder", job: number, id: string, directory: FileSystemDirectoryHandle }} ExportMessage
 * @typedef {{ type: "stop", job: number, pause: boolean }} StopMessage pause: an install goes on only when somebody asks for that
 * @typedef {ModelInstallMessage | VerifyMessage | RepairMessage | RemoveMessage | CleanMessage | ImportMessage | ExportMessage} ModelWork one at a time
 * @typedef {ListMessage | StopMessage | ModelWork} ToModelsWorker
 */

/**
 * @typedef {object} ModelProgress
 * @property {number} bytes done; never decreasing
 * @property {number} totalBytes
 * @property {number} files
 * @property {number} totalFiles
 * @property {number} idleSeconds since something was last done
 * @property {string} problem why a file is being asked for again, "" when none is
 */

/**
 * @typedef {object} ModelWorkResult
 * @property {{ files: number, damaged: string[], missing: number }} [verified]
 * @property {{ id: string, name: string, files: number, damaged: string[], missing: number }[]} [imported]
 * @property {string} [folder] that an export wrote
 */

/**
 * @typedef {{ type: "listed", job: number, inventory: import("./model_state.js").Inventory }} ListedMessage
 * @typedef {{ type: "progress", job: number } & ModelProgress} ModelProgressMessage
 * @typedef {{ type: "done", job: number, result: ModelWorkResult }} DoneMessage
 * @typedef {{ type: "error", job: number, code: import("./errors.js").ErrorCode, message: string }} ModelErrorMessage
 * @typedef {ListedMessage | ModelProgressMessage | DoneMessage | ModelErrorMessage} FromModelsWorker
 */

export {};
