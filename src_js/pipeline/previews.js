/**
 * The previews of one picture: a small decode behind a step, recorded once, and its pixels on their way back while the next step runs.
 */

import { previewProgram } from "./stages.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("./picture_work.js").PictureWork} PictureWork
 * @typedef {import("./preview_size.js").PreviewSize} PreviewSize
 */

export class Previews {
  #work;
  #size;
  #program;
  #latents;
  #before;
  #ahead;
  #rgba;

  /** @param {PictureWork} work its plan has previews @param {StageWeights} weights of the VAE decoder @param {Tensor} latents */
  constructor(work, weights, latents) {
    this.#work = work;
    this.#size = /** @type {PreviewSize} */ (work.plan.preview);
    this.#program = work.program("preview");
    this.#latents = latents;
    this.#before = work.tensor(work.shapes.before);
    const io = { latents, before: this.#before, ...work.size, small: this.#size.small };
    const { ahead, rgba } = previewProgram(this.#program, work.config, weights, io);
    this.#ahead = ahead;
    this.#rgba = rgba;
  }

  /** @param {ConstructorParameters<typeof Previews>} of @returns {Promise<Previews>} ready to run */
  static async open(...of) {
    const previews = new Previews(...of);
    await previews.#work.build(previews.#program, of[1]);
    return previews;
  }

  /** Keeps the latents as they are ahead of a step. */
  keep() {
    this.#work.engine.copy(this.#latents, this.#before);
  }

  /**
   * @param {number} step finished ones
   * @param {number} sigma before the step, larger than `next`
   * @param {number} next sigma after it
   * @returns {import("../engine/executor.js").Part} to run behind the step
   */
  part(step, sigma, next) {
    const { engine } = this.#work;
    return {
      program: this.#program,
      // x0 = x - next * v, and v is the step's difference over next - sigma
      prepare: () => engine.upload(this.#ahead, Float32Array.of(next / (sigma - next))),
      finish: () => this.#work.aside(this.#show(step)),
    };
  }

  /** @param {number} step */
  async #show(step) {
    const { engine, observer } = this.#work;
    const { width, height } = this.#size;
    const rgba = new Uint8ClampedArray(await engine.readBytes(this.#rgba.buffer, 0, width * height * 4));
    observer.onPreview?.({ step, width, height, rgba });
  }

  close() {
    this.#work.end(this.#program);
    this.#work.release(this.#before);
  }
}
