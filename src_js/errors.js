/**
 * The one error class that users see. `code` is what the page words its advice by; `message` says what, where and
 * what to do. Any other exception is a fault of ours and is shown as "internal".
 */

/**
 * @typedef {"no-webgpu"|"no-adapter"|"out-of-memory"|"device-lost"|"worker-lost"|"in-use"|"bad-manifest"|"bad-shard"|"download-failed"
 *   |"incomplete"|"storage-full"|"too-large"|"cancelled"|"bad-input"|"internal"} ErrorCode
 *   worker-lost: the page's worker ended unasked, a new one begins with the next call; in-use: another tab has what was asked for
 */

export class KleinbildError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = "KleinbildError";
    this.code = code;
  }
}

/** @param {unknown} error @returns {KleinbildError} `error` itself, or wrapped as "internal". */
export function asKleinbildError(error) {
  if (error instanceof KleinbildError) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new KleinbildError("internal", message, { cause: error });
}

/** @param {AbortSignal | undefined} signal Throws "cancelled" once `signal` is aborted. */
export function throwIfCancelled(signal) {
  if (signal?.aborted) throw new KleinbildError("cancelled", "The picture was cancelled.");
}
