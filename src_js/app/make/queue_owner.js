/**
 * Which tab's queue is the one that is remembered: the first one's, until it is closed. Two tabs that write the same list would make
 * pictures twice, or lose them.
 */

const LOCK = "kleinbild.queue";

/** @param {Pick<LockManager, "request"> | undefined} locks navigator.locks @returns {Promise<boolean>} whether it is this tab's, from now to its end */
export function ownQueue(locks) {
  if (!locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const held = locks.request(LOCK, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => {});
    });
    held.catch(() => resolve(false));
  });
}
