/**
 * A picture that outlives the GPU: drivers crash, laptops sleep, other programs take a GPU down. What was finished is kept outside of it,
 * so the picture goes on on a new device from the last finished step, to the same bits. No WebGPU here.
 */

import { KleinbildError, asKleinbildError, throwIfCancelled } from "../errors.js";

/** @typedef {import("../pipeline/generator.js").FinishedStep} FinishedStep */

/** So often within one picture is no accident. */
export const MOST_LOSSES = 3;
/** After a loss the browser may have no GPU for a while: its GPU process starts again. Waits between attempts to get one. */
const PAUSES_MS = [250, 500, 1000, 2000, 4000];

/**
 * @template T
 * @param {(from: FinishedStep | undefined, onStep: (finished: FinishedStep) => void) => Promise<T>} attempt makes the picture, on a fresh
 *   device unless it is the first attempt; from: what an attempt before it finished last
 * @param {object} options
 * @param {AbortSignal} options.signal
 * @param {(resumption: {step: number, losses: number}) => void} options.onResume
 * @param {(ms: number) => Promise<unknown>} [options.pause] for tests
 * @returns {Promise<T>}
 * @throws {KleinbildError} what `attempt` throws; device-lost when the GPU is lost MOST_LOSSES times
 */
export async function outliveLosses(attempt, { signal, onResume, pause = wait }) {
  /** @type {FinishedStep | undefined} */
  let finished;
  let [losses, pauses] = [0, 0];
  for (;;) {
    try {
      return await attempt(finished, (step) => (finished = step));
    } catch (caught) {
      const { code } = asKleinbildError(caught);
      if (code === "no-adapter" && losses > 0 && pauses < PAUSES_MS.length) {
        await pause(PAUSES_MS[pauses++] ?? 0);
      } else if (code === "device-lost") {
        losses += 1;
        pauses = 0;
        if (losses === MOST_LOSSES) throw lostTooOften(caught);
        onResume({ step: finished?.step ?? 0, losses });
      } else {
        throw caught;
      }
      throwIfCancelled(signal);
    }
  }
}

/** @param {number} ms */
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {unknown} cause @returns {KleinbildError} */
function lostTooOften(cause) {
  const message = `The GPU stopped ${MOST_LOSSES} times while this picture was made, so it was given up. The page goes on working: choose a `
    + "smaller picture or close other programs that use the GPU, then try again.";
  return new KleinbildError("device-lost", message, { cause });
}
