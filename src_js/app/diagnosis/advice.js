/**
 * What to do about a finding, as data: each step names its words in the catalogues and, where there is something to copy, a line for a
 * terminal, an address bar or a settings page. Which steps belong to a platform stands here and nowhere else.
 */

/** @typedef {import("./platform.js").Platform} Platform */

/**
 * @typedef {object} Step
 * @property {string} key of its words: diagnosis.step.<key>
 * @property {string} [code] to be copied
 */

/** The first version of Chromium with WebGPU on every system that has it. */
export const LEAST_CHROMIUM = 121;
const LEAST_FIREFOX = 141;
const LEAST_SAFARI = 26;

export const STEPS = /** @satisfies {Record<string, Step>} */ ({
  recentBrowser: { key: "recent-browser" },
  useChromium: { key: "use-chromium" },
  linuxAmd: {
    key: "linux-amd",
    code: "chromium --enable-unsafe-webgpu --ozone-platform=x11 --use-angle=vulkan --enable-features=Vulkan,VulkanFromANGLE",
  },
  linuxOthers: { key: "linux-others", code: "chromium --enable-unsafe-webgpu --enable-features=Vulkan" },
  linuxFlags: { key: "linux-flags", code: "chrome://flags/#enable-unsafe-webgpu" },
  linuxDriver: { key: "linux-driver", code: "vulkaninfo --summary" },
  linuxGroup: { key: "linux-group", code: "sudo usermod -aG render,video $USER" },
  windowsDriver: { key: "windows-driver" },
  windowsRemote: { key: "windows-remote" },
  acceleration: { key: "acceleration", code: "chrome://settings/system" },
  macUpdate: { key: "mac-update" },
  androidVersion: { key: "android-version" },
  androidMemory: { key: "android-memory" },
  chromeosUpdate: { key: "chromeos-update" },
  chromeosFlags: { key: "chromeos-flags", code: "chrome://flags/#enable-unsafe-webgpu" },
  ios: { key: "ios" },
  otherDriver: { key: "other-driver" },
  firefoxVersion: { key: "firefox-version" },
  firefoxConfig: { key: "firefox-config", code: "about:config?filter=dom.webgpu.enabled" },
  safariVersion: { key: "safari-version" },
  gpuPage: { key: "gpu-page", code: "chrome://gpu" },
  blocklist: { key: "blocklist", code: "chrome://flags/#ignore-gpu-blocklist" },
  addressLocal: { key: "address-local" },
  addressHttps: { key: "address-https" },
  driver: { key: "driver" },
  report: { key: "report" },
  smaller: { key: "smaller" },
  budget: { key: "budget" },
  closeOthers: { key: "close-others" },
  leavePrivate: { key: "leave-private" },
  allowStorage: { key: "allow-storage" },
  freeDisk: { key: "free-disk" },
  install: { key: "install" },
  headers: { key: "headers" },
  reloadOnce: { key: "reload-once" },
  bc250Mesa: { key: "bc250-mesa" },
  bc250CarveOut: { key: "bc250-carve-out" },
  bc250Pages: { key: "bc250-pages", code: "ttm.pages_limit=3145728" },
  bc250Kiosk: { key: "bc250-kiosk" },
  bc250Budget: { key: "bc250-budget" },
});

/** @param {...keyof typeof STEPS} names @returns {Step[]} */
export function steps(...names) {
  return names.map((name) => STEPS[name]);
}

/**
 * How to get a GPU to work, the most likely help first.
 * @type {Record<import("./platform.js").System, Step[]>}
 */
const GPU_STEPS = {
  linux: steps("linuxAmd", "linuxOthers", "linuxFlags", "linuxDriver", "linuxGroup", "gpuPage", "blocklist"),
  chromeos: steps("chromeosUpdate", "chromeosFlags", "gpuPage"),
  windows: steps("acceleration", "windowsDriver", "windowsRemote", "gpuPage", "blocklist"),
  mac: steps("acceleration", "macUpdate", "gpuPage"),
  android: steps("androidVersion", "androidMemory", "gpuPage"),
  ios: steps("ios"),
  other: steps("acceleration", "otherDriver", "gpuPage"),
};
/** Of those, what no other browser than Chromium understands. */
const CHROMIUM_ONLY = new Set(["linux-amd", "linux-others", "linux-flags", "chromeos-flags", "acceleration", "blocklist", "gpu-page"]);

/** @param {Platform} platform @returns {Step[]} where the browser offers no WebGPU at all */
export function withoutWebgpu({ system, engine, version }) {
  if (system === "ios") return engine === "safari" && version > 0 && version < LEAST_SAFARI ? steps("safariVersion", "ios") : steps("ios");
  if (engine === "firefox") {
    const change = version < LEAST_FIREFOX ? steps("firefoxVersion") : steps("firefoxVersion", "firefoxConfig");
    return [...steps("useChromium"), ...change, ...forAny(system)];
  }
  if (engine === "safari") return [...steps("useChromium", "safariVersion"), ...forAny(system)];
  if (engine === "other") return [...steps("useChromium"), ...GPU_STEPS[system]];
  return version > 0 && version < LEAST_CHROMIUM ? [...steps("recentBrowser"), ...GPU_STEPS[system]] : GPU_STEPS[system];
}

/** @param {Platform} platform @returns {Step[]} where WebGPU is there, but no GPU for it, or only software */
export function withoutGpu({ system, engine }) {
  return engine === "chromium" || engine === "other" ? GPU_STEPS[system] : forAny(system);
}

/** @param {Platform} platform @returns {Step[]} where the GPU is used, but something better may be had from its driver */
export function newerDriver({ system }) {
  if (system === "linux") return steps("linuxDriver");
  if (system === "windows") return steps("windowsDriver");
  if (system === "mac") return steps("macUpdate");
  return system === "chromeos" ? steps("chromeosUpdate") : steps("driver");
}

/** @param {import("./platform.js").System} system @returns {Step[]} in any browser */
function forAny(system) {
  return GPU_STEPS[system].filter(({ key }) => !CHROMIUM_ONLY.has(key));
}
