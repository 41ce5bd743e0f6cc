/**
 * What pictures took on this GPU, remembered by model and adapter, and what a picture of another size will take: measured seconds,
 * scaled by the plan's arithmetic from the nearest size. Before the first picture there is nothing to say.
 */

/** @typedef {import("../../protocol.js").StageFlops} StageFlops */
/** @typedef {import("./stage_clock.js").StageSeconds} StageSeconds */
/** @typedef {{ width: number, height: number }} Size */

/** One size's measurements: seconds as a moving mean, and the arithmetic that took them. @typedef {{ seconds: StageSeconds, flops: StageFlops }} Rate */

const SETTING = "rates";
/** The newest measurement counts this much: a GPU may be busy or throttled for one picture. */
const NEWEST = 0.4;
/** Arithmetic tells nothing of a picture this many times larger or smaller: small ones take the time of their launches. */
const FARTHEST = 20;
const MAX_MACHINES = 6;
const MAX_SIZES = 24;
const SCALED = /** @type {const} */ (["transformer", "vae_decoder"]);
const STAGES = /** @type {const} */ (["text_encoder", "transformer", "vae_decoder"]);

export class Rates {
  #store;
  /** @type {Map<string, Map<string, Rate>>} by machine and size, the latest used last */
  #machines;

  /** @param {Pick<import("../store.js").Store, "read"|"write">} store */
  constructor(store) {
    this.#store = store;
    this.#machines = readMachines(store.read(SETTING));
  }

  /**
   * @param {string} machine model and adapter
   * @param {Size} size
   * @param {StageSeconds} seconds of a finished picture
   * @param {StageFlops} flops
   */
  note(machine, { width, height }, seconds, flops) {
    const sizes = this.#machines.get(machine) ?? new Map();
    const name = `${width}x${height}`;
    const known = sizes.get(name)?.seconds;
    /** @type {StageSeconds} */
    const mean = { ...seconds };
    for (const stage of STAGES) {
      if (known && seconds[stage] > 0) mean[stage] = known[stage] > 0 ? known[stage] + NEWEST * (seconds[stage] - known[stage]) : seconds[stage];
      else if (known) mean[stage] = known[stage];
    }
    sizes.delete(name);
    sizes.set(name, { seconds: mean, flops: { ...flops } });
    this.#machines.delete(machine);
    this.#machines.set(machine, sizes);
    for (const [map, most] of /** @type {[Map<string, unknown>, number][]} */ ([[sizes, MAX_SIZES], [this.#machines, MAX_MACHINES]])) {
      for (const oldest of [...map.keys()].slice(0, Math.max(0, map.size - most))) map.delete(oldest);
    }
    this.#store.write(SETTING, Object.fromEntries([...this.#machines].map(([key, rates]) => [key, Object.fromEntries(rates)])));
  }

  /**
   * @param {string} machine
   * @param {StageFlops} flops of the picture in question
   * @returns {StageSeconds | null} null before anything like it was measured
   */
  predict(machine, flops) {
    const rates = [...(this.#machines.get(machine)?.values() ?? [])];
    const distance = (/** @type {Rate} */ rate) => Math.abs(Math.log(rate.flops.transformer / flops.transformer));
    const nearest = rates.sort((a, b) => distance(a) - distance(b))[0];
    if (!nearest || SCALED.some((stage) => Math.abs(Math.log(nearest.flops[stage] / flops[stage])) > Math.log(FARTHEST))) return null;
    const scaled = (/** @type {"transformer"|"vae_decoder"} */ stage) => nearest.seconds[stage] * (flops[stage] / nearest.flops[stage]);
    const text = Math.max(...rates.map(({ seconds }) => seconds.text_encoder));
    return { text_encoder: text, transformer: scaled("transformer"), vae_decoder: scaled("vae_decoder") };
  }
}

/** @param {StageSeconds} seconds @param {number} steps @returns {number} of a whole picture whose model is on the GPU */
export function pictureSeconds({ text_encoder: text, transformer, vae_decoder: decode }, steps) {
  return text + steps * transformer + decode;
}

/** @param {unknown} stored whatever the browser kept @returns {Map<string, Map<string, Rate>>} what of it is usable */
function readMachines(stored) {
  /** @type {Map<string, Map<string, Rate>>} */
  const machines = new Map();
  for (const [machine, sizes] of Object.entries(stored ?? {}).slice(-MAX_MACHINES)) {
    const rates = Object.entries(sizes ?? {}).slice(-MAX_SIZES).filter(([, rate]) => isRate(rate));
    machines.set(machine, new Map(rates));
  }
  return machines;
}

/** @param {any} rate @returns {boolean} */
function isRate(rate) {
  const positive = (/** @type {unknown} */ value) => typeof value === "number" && Number.isFinite(value) && value > 0;
  return STAGES.every((stage) => positive(rate?.flops?.[stage]) && (positive(rate?.seconds?.[stage]) || (stage === "text_encoder" && rate?.seconds?.[stage] === 0)));
}
