/**
 * What a picture will need of the GPU's memory, told before anything is loaded or even downloaded.
 */

import { inspectDevice } from "../engine/device.js";
import { TooLarge, defaultBudget, memoryNeeds, planWithin } from "../pipeline/budget.js";
import { planPicture } from "../pipeline/plan.js";

/**
 * @param {import("./model.js").Model} model
 * @param {import("./model.js").Runtime | undefined} runtime the model on the GPU, if it is there
 * @param {Pick<import("../protocol.js").PlanMessage, "precision"|"picture"|"memoryBudget"|"preview">} asked
 * @returns {Promise<import("../protocol.js").MemoryNeeds>}
 * @throws {import("../errors.js").KleinbildError} no-webgpu, no-adapter, bad-input
 */
export async function planMemory({ manifest }, runtime, { precision, picture, memoryBudget, preview = false }) {
  const engine = runtime?.engine ?? { info: await inspectDevice(navigator.gpu, precision) };
  const budget = memoryBudget ?? defaultBudget(engine.info);
  try {
    const plan = planWithin(engine, manifest, { ...picture, preview }, budget);
    return { ...memoryNeeds(plan), flops: stageFlops(plan), budget, refusal: "", previews: plan.preview !== undefined };
  } catch (caught) {
    if (!(caught instanceof TooLarge)) throw caught;
    const plan = planPicture(engine, manifest, picture);
    return { ...memoryNeeds(plan), flops: stageFlops(plan), budget, refusal: caught.message, largest: caught.largest, previews: false };
  }
}

/** @param {import("../pipeline/plan.js").PicturePlan} plan @returns {import("../protocol.js").StageFlops} */
function stageFlops({ programs }) {
  return { text_encoder: programs.text_encoder.flops, transformer: programs.step.flops, vae_decoder: programs.vae_decoder.flops };
}
