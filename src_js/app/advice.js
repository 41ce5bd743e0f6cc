/**
 * What the page tells people when something fails: for each error code a heading and what to do about it. The
 * error's own message says what happened where; this says it for somebody who does not care where. No DOM.
 */

/**
 * @typedef {object} Advice
 * @property {string} title
 * @property {string[]} steps what to do, most likely help first
 */

/** @typedef {"android"|"ios"|"linux"|"mac"|"windows"|"other"} Platform */

const RECENT_BROWSER = "Use a recent Chromium, Chrome or Edge (version 121 or later).";

/** @type {Record<Platform, string[]>} */
const GPU_ADVICE = {
  linux: [
    "Open chrome://flags, enable \u201cUnsafe WebGPU Support\u201d and \u201cVulkan\u201d, and restart the browser.",
    "With an AMD GPU, start it as: chromium --enable-unsafe-webgpu --ozone-platform=x11 --use-angle=vulkan " +
      "--enable-features=Vulkan,VulkanFromANGLE",
    "Install the GPU's Vulkan driver (Mesa 25 or later for AMD and Intel).",
  ],
  windows: ["Update the GPU's driver.",
    "Turn on \u201cUse graphics acceleration\u201d in the browser's system settings."],
  mac: ["Turn on \u201cUse graphics acceleration\u201d in the browser's system settings.", "Update macOS."],
  android: ["WebGPU needs Android 12 or later with a Qualcomm or ARM GPU.",
    "A phone rarely has the memory for this model."],
  ios: ["Browsers on iPhone and iPad give a page too little memory for this model: use a computer."],
  other: ["Turn on graphics acceleration in the browser's settings, and update the GPU's driver."],
};

/** @type {Record<import("../errors.js").ErrorCode, (platform: Platform) => Advice>} */
const ADVICE = {
  "no-webgpu": (platform) => ({
    title: "This browser has no WebGPU",
    steps: [RECENT_BROWSER, "Open the page at https:// or http://localhost: browsers offer WebGPU nowhere else.",
      ...GPU_ADVICE[platform]],
  }),
  "no-adapter": (platform) => ({
    title: "The browser found no GPU it can use",
    steps: [...GPU_ADVICE[platform], "Look at chrome://gpu: the line \u201cWebGPU\u201d says what blocks it."],
  }),
  "out-of-memory": () => ({
    title: "The GPU's memory is full",
    steps: ["Choose a smaller picture.", "Close other tabs and programs that use the GPU.",
      "The model itself is kept: the next try needs no download."],
  }),
  "device-lost": () => ({
    title: "The GPU was reset",
    steps: ["Try again: the model is loaded afresh, nothing is downloaded.",
      "If it happens again, choose a smaller picture or close other programs that use the GPU."],
  }),
  "worker-lost": () => ({
    title: "The page's worker stopped",
    steps: ["Try again: the model is loaded afresh, nothing is downloaded.",
      "If it happens again, choose a smaller picture or close other programs: the computer may be out of memory."],
  }),
  "in-use": () => ({
    title: "Another tab is using the model",
    steps: ["Make the picture there, or close that tab and try again."],
  }),
  "bad-manifest": () => ({ title: "The site is damaged", steps: ["Whoever runs this site must build it again."] }),
  "bad-shard": () => ({
    title: "A part of the model is damaged",
    steps: ["Reload the page and try again: a damaged part is downloaded again.",
      "If it stays, whoever runs this site must build it again."],
  }),
  "download-failed": () => ({
    title: "The download stopped",
    steps: ["Check the connection and try again: it continues where it stopped."],
  }),
  incomplete: () => ({
    title: "A part of the model is not on this device yet",
    steps: ["Connect to the site again and make the picture: only the missing part is downloaded.",
      "Until then, take a prompt that worked before, a square format and the model's own number of steps."],
  }),
  "storage-full": () => ({
    title: "There is no room left for the model",
    steps: ["Free disk space: the browser lets a site use only a part of what is free.",
      "Delete the stored data of other sites in the browser's settings.",
      "Then try again: what is already downloaded is kept."],
  }),
  "too-large": () => ({
    title: "This size does not fit",
    steps: ["Choose a smaller picture.", "If the GPU has more memory than the budget says, raise the budget below the size."],
  }),
  cancelled: () => ({ title: "Cancelled", steps: [] }),
  "bad-input": () => ({ title: "These settings do not work", steps: [] }),
  internal: () => ({
    title: "Something went wrong",
    steps: ["Try again; reload the page if it happens a second time.",
      "This is a fault of the page: please report the line below."],
  }),
};

/** @param {import("../errors.js").ErrorCode} code @param {Platform} platform @returns {Advice} */
export function adviceFor(code, platform) {
  return (ADVICE[code] ?? ADVICE.internal)(platform);
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
