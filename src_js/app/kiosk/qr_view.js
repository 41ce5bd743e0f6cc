/**
 * Draws a QR code as SVG: dark on light whatever the theme, with the quiet zone that scanners need.
 */

import { qrCode } from "./qr.js";

const QUIET_MODULES = 4;
const SVG = "http://www.w3.org/2000/svg";

/** @param {SVGSVGElement} svg @param {string} text */
export function drawQr(svg, text) {
  const { side, dark } = qrCode(text);
  const whole = side + 2 * QUIET_MODULES;
  let path = "";
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      if (dark(row, column)) path += `M${column + QUIET_MODULES} ${row + QUIET_MODULES}h1v1h-1z`;
    }
  }
  const light = document.createElementNS(SVG, "rect");
  light.setAttribute("width", String(whole));
  light.setAttribute("height", String(whole));
  light.setAttribute("fill", "#fff");
  const modules = document.createElementNS(SVG, "path");
  modules.setAttribute("d", path);
  modules.setAttribute("fill", "#000");
  svg.setAttribute("viewBox", `0 0 ${whole} ${whole}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  svg.replaceChildren(light, modules);
}
