/**
 * Notes when a queue first gets work.
 */

export class SubmitWatch {
  /** @type {number | undefined} milliseconds since 1970 */
  first;

  /** @param {GPUQueue} queue */
  constructor(queue) {
    this.queue = queue;
    const submit = queue.submit.bind(queue);
    queue.submit = (buffers) => {
      this.first ??= epochMs();
      return submit(buffers);
    };
  }

  /** Leaves the queue as it was. */
  end() {
    Reflect.deleteProperty(this.queue, "submit");
  }
}

/** @returns {number} milliseconds since 1970, as exact as the browser tells and the same in page and worker */
export function epochMs() {
  return performance.timeOrigin + performance.now();
}
