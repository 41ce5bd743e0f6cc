/**
 * How long a picture will still take. Says nothing rather than guess: before a step was seen, now or in an earlier picture, there is
 * no number. Once there is one it counts down, and it corrects itself with every step.
 */

/** @typedef {import("../../protocol.js").Progress} Progress */
/** @typedef {import("../../protocol.js").StageFlops} StageFlops */
/** @typedef {import("./stage_clock.js").StageSeconds} StageSeconds */
/** @typedef {import("./stage_clock.js").StageClock} StageClock */

/** What takes longer than it should is not over at once: this share of what it has taken is still to come. */
const OVERDUE = 0.1;

/**
 * @param {Pick<Progress, "stage"|"step"|"steps"|"bytes"|"totalBytes"|"bytesPerSecond">} progress the latest
 * @param {StageClock} clock that was told the same progress
 * @param {{ expected: StageSeconds | null, flops: StageFlops | null }} known expected: from earlier pictures; flops: of this one
 * @param {number} now seconds on the clock's clock
 * @returns {number | null} seconds; null when nobody can know
 */
export function secondsLeft(progress, clock, { expected, flops }, now) {
  const { stage, step, steps } = progress;
  const each = clock.stepSeconds ?? expected?.transformer ?? null;
  if (each === null || stage === "download" || stage === "tuning" || stage === "checking") return null;
  const decode = expected?.vae_decoder ?? (flops ? (each * flops.vae_decoder) / flops.transformer : null);
  if (decode === null) return null;
  const elapsed = clock.elapsed(now);
  const rest = (/** @type {number} */ seconds) => Math.max(seconds - elapsed, OVERDUE * elapsed);
  switch (stage) {
    case "vae_decoder":
      return rest(decode);
    case "transformer":
      return step >= steps ? decode : rest(each) + (steps - step - 1) * each + decode;
    case "text_encoder":
      return rest(expected?.text_encoder ?? 0) + steps * each + decode;
    case "loading": {
      const computing = (steps - step) * each + decode;
      const { bytes = 0, totalBytes = 0, bytesPerSecond = 0 } = progress;
      const text = step === 0 && !clock.textDone ? (expected?.text_encoder ?? 0) : 0;
      return bytesPerSecond > 0 ? (totalBytes - bytes) / bytesPerSecond + text + computing : null;
    }
  }
}

/**
 * Seconds in a grain that people can trust: nobody needs to see 37.2 become 36.9.
 * @param {import("../i18n.js").I18n} i18n
 * @param {number} seconds
 * @returns {string}
 */
export function leftText(i18n, seconds) {
  if (seconds < 3) return i18n.t("make.left.moment");
  if (seconds < 10) return i18n.t("make.left.seconds", { count: Math.ceil(seconds) });
  if (seconds < 57.5) return i18n.t("make.left.seconds", { count: Math.ceil(seconds / 5) * 5 });
  return i18n.t("make.left.minutes", { count: Math.ceil(seconds / 60) });
}
