/**
 * Whole warm pictures through the real pipeline on made-up weights: time, memory, and how soon the GPU gets work after the click.
 */

import { SubmitWatch, epochMs } from "./submit_watch.js";
import { decodeFlops, modulationFlops, preludeFlops, stepFlops, textEncoderFlops } from "./work.js";

/**
 * @typedef {import("../bench_protocol.js").FrameTimes} FrameTimes
 * @typedef {import("../bench_protocol.js").Row} Row
 * @typedef {import("./lab.js").Lab} Lab
 */

/**
 * The page's part in a picture; without a page the suite does without.
 * @typedef {object} Page
 * @property {() => Promise<number>} click the page begins to watch its frames; when it asked for the picture, ms since 1970
 * @property {() => Promise<FrameTimes>} frames since then
 */

const PROMPTS = Object.freeze(["a lighthouse at dusk", "two boats on a lake"]);

/**
 * Two pictures: the first compiles what is missing and brings the weights, the second, of another prompt, is measured.
 * @param {Lab} lab @param {number} side pixels @param {number} steps
 * @param {Page | undefined} page
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<Row[]>}
 */
export async function measurePicture(lab, side, steps, page, signal) {
  const { engine } = lab;
  const generator = lab.generator();
  const size = `${side} x ${side}`;
  /** @param {number} i */
  const settings = (i) => ({ prompt: PROMPTS[i] ?? "", width: side, height: side, seed: BigInt(i), steps, latents: null });
  await generator.generate(settings(0), { signal });
  engine.memory.resetPeak();
  const watch = new SubmitWatch(engine.device.queue);
  try {
    const clicked = await (page?.click() ?? epochMs());
    const start = performance.now();
    const { seconds: stages } = await generator.generate(settings(1), { signal });
    const seconds = (performance.now() - start) / 1000;
    const frames = await page?.frames();
    const detail = Object.entries(stages).map(([name, taken]) => `${name.replaceAll("_", " ").replace("vae", "VAE")} ${taken.toFixed(3)} s`).join(", ");
    /** @type {Row[]} */
    const rows = [
      { group: "picture", name: `picture ${size}, ${steps} steps`, seconds, flops: wholeFlops(lab, side, steps, settings(1).prompt), detail },
      { group: "start", name: `click to first submit ${size}`, seconds: Math.max(0, (watch.first ?? clicked) - clicked) / 1000 },
      { group: "memory", name: `peak GPU memory ${size}`, bytes: engine.memory.peakBytes },
    ];
    if (frames) {
      rows.push(
        { group: "page", name: `frame time ${size}, median`, seconds: frames.median, detail: `${frames.count} frames` },
        { group: "page", name: `frame time ${size}, 95th percentile`, seconds: frames.p95, detail: `worst ${(1000 * frames.worst).toFixed(0)} ms` },
      );
    }
    return rows;
  } finally {
    watch.end();
  }
}

/** @param {Lab} lab @param {number} side @param {number} steps @param {string} prompt */
function wholeFlops(lab, side, steps, prompt) {
  const { config } = lab;
  const { length } = lab.generator().tokenizer.encodePrompt(prompt);
  const text = textEncoderFlops(config.text_encoder, config.prompt.text_seq_len, length);
  return text + modulationFlops(config, steps) + preludeFlops(config) + steps * stepFlops(config, side) + decodeFlops(config, side);
}
