/**
 * Numbers and stages in the page's words. No DOM.
 */

/** @typedef {import("../protocol.js").Progress} Progress */
/** @typedef {import("../protocol.js").ReadyInfo} ReadyInfo */

/** @param {number} bytes @returns {string} decimal units, as download pages and disks count */
export function formatBytes(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** @param {number} seconds @returns {string} "3.4 s" or "2:05 min" */
export function formatDuration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
}

/** @param {Progress} progress @returns {string} what is going on */
export function stageTitle({ stage, step, steps }) {
  switch (stage) {
    case "download":
      return "Downloading the model";
    case "tuning":
      return "Measuring kernels on your GPU";
    case "checking":
      return "Checking kernels on your GPU";
    case "loading":
      return "Loading the model onto the GPU";
    case "text_encoder":
      return "Reading the prompt";
    case "transformer":
      return `Exposing, step ${Math.min(step + 1, steps)} of ${steps}`;
    case "vae_decoder":
      return "Developing the picture";
  }
}

/**
 * @param {Progress} progress
 * @param {number} seconds since this work began
 * @returns {string} the numbers below the title
 */
export function stageDetail({ stage, step, steps, fraction, bytes = 0, totalBytes = 0, bytesPerSecond = 0 }, seconds) {
  const amount = `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`;
  if (stage === "loading" && bytesPerSecond > 0) return `${amount}, ${formatBytes(bytesPerSecond)}/s`;
  if (stage === "tuning") return `${step} of ${steps}, once on this device`;
  if (stage !== "download") return `${Math.floor(fraction * 100)} %`;
  if (seconds < 3 || bytes === 0) return amount;
  const remaining = (seconds * (totalBytes - bytes)) / bytes;
  return `${amount}, ${remaining < 60 ? "less than a minute" : `about ${Math.ceil(remaining / 60)} min`} left`;
}

/**
 * @param {Pick<import("../protocol.js").InspectInfo, "missingBytes"|"laterBytes"|"persistent">} info
 * @returns {string} what is downloaded beside the first picture's part, "" when nothing is
 */
export function laterText({ missingBytes, laterBytes, persistent }) {
  if (laterBytes === 0) return "";
  if (!persistent) return `Of another ${formatBytes(laterBytes)} a picture downloads what it needs.`;
  const when = missingBytes > 0 ? "after the first picture" : "after the next picture";
  return `Another ${formatBytes(laterBytes)} of the model are downloaded in the background ${when}.`;
}

/** @param {import("../protocol.js").BackgroundState} state @returns {string} one line about the rest of the model */
export function backgroundText({ bytes, totalBytes, done, problem }) {
  if (done) return "The whole model is on this device: every prompt and size works offline.";
  if (problem) return `The download of the rest of the model goes on after the next picture. It stopped: ${problem}`;
  return `Downloading the rest of the model in the background: ${formatBytes(bytes)} of ${formatBytes(totalBytes)}.`;
}

/** @param {import("../protocol.js").MemoryNeeds} needs @returns {string} what a picture needs of the GPU's memory */
export function memoryText({ least, whole, budget, refusal }) {
  if (refusal) return refusal;
  if (whole <= budget) return `Needs ${formatBytes(whole)} of GPU memory.`;
  return `Needs ${formatBytes(least)} of GPU memory; with ${formatBytes(whole)} the model would stay there for the next picture.`;
}

/** @param {Omit<ReadyInfo, "kernels">} info @returns {string} what the model runs on */
export function deviceText({ vendor, architecture, description, precision, fallback, persistent }) {
  const name = description || [vendor, architecture].filter(Boolean).join(" ") || "GPU";
  const parts = [`Runs on ${name} in ${precision === "f16" ? "16-bit" : "32-bit"} floating point.`];
  if (fallback) parts.push("This is a software adapter: pictures take minutes, not seconds.");
  else if (precision === "f32") parts.push("The GPU offers no 16-bit arithmetic, so a picture takes more time and memory.");
  if (!persistent) parts.push("The browser gives this page no storage: the model is downloaded again on every visit.");
  return parts.join(" ");
}

/** @param {ReadyInfo["kernels"]} kernels @returns {string} one line about what was measured */
export function kernelsText({ kinds, seconds }) {
  const timed = kinds.some(({ candidates }) => candidates.some(({ tflops }) => tflops > 0));
  if (!timed) return "The kernels that every GPU runs serve here: nothing was measured.";
  const candidates = kinds.reduce((sum, kind) => sum + kind.candidates.length, 0);
  return `Chosen from ${candidates} kernels by measuring them on this GPU, in ${formatDuration(seconds)}.`;
}

/** @param {import("../protocol.js").KernelReport["candidates"][number]} candidate @returns {string} how fast and how exact it is, or why it is not used */
export function candidateText({ tflops, error, dropped }) {
  if (dropped !== "") return dropped;
  return [tflops > 0 ? flopsText(tflops) : "not timed", `error ${error.toExponential(1)}`].join(", ");
}

/** @param {number} tflops @returns {string} in the unit that suits: software adapters do a few GFLOP/s */
export function flopsText(tflops) {
  return tflops >= 0.1 ? `${threeDigits(tflops)} TFLOP/s` : `${threeDigits(1000 * tflops)} GFLOP/s`;
}

/** @param {number} value @returns {string} three digits, or all of those before the point */
export function threeDigits(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
