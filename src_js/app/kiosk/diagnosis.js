/**
 * What the operator's view tells of the page: build, browser, GPU, memory and the last failure, as lines to read out to whoever helps.
 */

/**
 * @param {{ build: string, info: import("../../protocol.js").ReadyInfo | null, pictures: number, problem: string }} state
 * @returns {Promise<string>}
 */
export async function describePage({ build, info, pictures, problem }) {
  const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
  const gpu = info ? [info.vendor, info.architecture, info.description].filter(Boolean).join(" ") || "unnamed" : "not started";
  const lines = [
    `page build: ${build}`,
    `browser: ${navigator.userAgent}`,
    `screen: ${innerWidth} x ${innerHeight}, scale ${devicePixelRatio}`,
    `webgpu: ${"gpu" in navigator ? gpu : "missing"}${info?.fallback ? " (software)" : ""}`,
    `precision: ${info?.precision ?? "-"}`,
    `model: ${info ? `${info.model} ${info.revision}` : "-"}`,
    `pictures since the page was opened: ${pictures}`,
    `storage: ${(usage / 1e9).toFixed(2)} GB used, the browser speaks of ${(quota / 1e9).toFixed(1)} GB`,
    `isolated: ${crossOriginIsolated}`,
    `last failure: ${problem || "none"}`,
  ];
  for (const { kind, chosen, problem: trouble } of info?.kernels.kinds ?? []) lines.push(`kernel ${kind}: ${chosen}${trouble ? ` (${trouble})` : ""}`);
  return lines.join("\n");
}
