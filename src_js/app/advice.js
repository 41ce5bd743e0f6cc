/**
 * What the page tells people when something fails: for each error code a heading and what to do about it. The
 * error's own message says what happened where; this says it for somebody who does not care where. No DOM.
 */

/** @typedef {"android"|"ios"|"linux"|"mac"|"windows"|"other"} Platform */
/** @typedef {import("../errors.js").ErrorCode} ErrorCode */

/** How the GPU is made available on a platform, most likely help first: keys. @type {Record<Platform, string[]>} */
const GPU_ADVICE = {
  linux: ["errors.gpu.linux_flags", "errors.gpu.linux_amd", "errors.gpu.linux_driver"],
  windows: ["errors.gpu.windows_driver", "errors.gpu.acceleration"],
  mac: ["errors.gpu.acceleration", "errors.gpu.mac_update"],
  android: ["errors.gpu.android_version", "errors.gpu.android_memory"],
  ios: ["errors.gpu.ios"],
  other: ["errors.gpu.other"],
};

/** What to do, most likely help first: keys. @type {Record<ErrorCode, (platform: Platform) => string[]>} */
const STEPS = {
  "no-webgpu": (platform) => ["errors.recent_browser", "errors.secure_address", ...GPU_ADVICE[platform]],
  "no-adapter": (platform) => [...GPU_ADVICE[platform], "errors.chrome_gpu"],
  "out-of-memory": () => ["errors.smaller_picture", "errors.close_others", "errors.model_kept"],
  "device-lost": () => ["errors.try_again_fresh", "errors.smaller_or_close"],
  "worker-lost": () => ["errors.try_again_fresh", "errors.smaller_or_memory"],
  "in-use": () => ["errors.other_tab"],
  "bad-manifest": () => ["errors.build_again"],
  "bad-shard": () => ["errors.reload_redownload", "errors.build_again_if_stays"],
  "download-failed": () => ["errors.check_connection"],
  incomplete: () => ["errors.connect_again", "errors.known_prompt"],
  "storage-full": () => ["errors.free_disk", "errors.delete_other_sites", "errors.try_again_kept"],
  "too-large": () => ["errors.smaller_picture", "errors.raise_budget"],
  cancelled: () => [],
  "bad-input": () => [],
  internal: () => ["errors.try_again_reload", "errors.report"],
};

/**
 * @param {ErrorCode} code
 * @param {Platform} platform
 * @param {Pick<import("./i18n.js").I18n, "t">} i18n
 * @returns {{ title: string, steps: string[] }} what happened, and what to do, most likely help first
 */
export function adviceFor(code, platform, i18n) {
  const known = Object.hasOwn(STEPS, code) ? code : "internal";
  return { title: i18n.t(`errors.title.${known}`), steps: STEPS[known](platform).map((key) => i18n.t(key)) };
}

/** @param {string} userAgent @returns {Platform} only ever used to choose advice */
export function platformOf(userAgent) {
  if (/Android/i.test(userAgent)) return "android";
  if (/iPhone|iPad/i.test(userAgent)) return "ios";
  if (/Windows/i.test(userAgent)) return "windows";
  if (/Macintosh|Mac OS/i.test(userAgent)) return "mac";
  if (/Linux|X11|CrOS/i.test(userAgent)) return "linux";
  return "other";
}
