/**
 * Rows of the diagnosis' tables and lists, built without markup strings.
 */

import { textElement } from "../elements.js";

/**
 * A cell: its words, or with a class, or as an element that is ready; code is left to right in every language.
 * @typedef {string | { text: string, className?: string, code?: boolean }} Cell
 */

/** @param {Cell} cell @param {"td"|"th"|"dd"} tag @returns {HTMLElement} */
function cellElement(cell, tag) {
  const { text, className = "", code = false } = typeof cell === "string" ? { text: cell } : cell;
  const made = textElement(tag, code ? "" : text, className);
  if (code) made.append(codeElement(text));
  return made;
}

/** @param {string} text @returns {HTMLElement} */
export function codeElement(text) {
  const code = textElement("code", text);
  code.dir = "ltr";
  code.lang = "en";
  return code;
}

/** @param {HTMLElement} body a tbody @param {readonly (readonly Cell[])[]} rows the first cell of each is its heading */
export function fillTable(body, rows) {
  body.replaceChildren(...rows.map(([heading = "", ...cells]) => {
    const row = document.createElement("tr");
    const head = cellElement(heading, "th");
    head.setAttribute("scope", "row");
    row.append(head, ...cells.map((cell) => cellElement(cell, "td")));
    return row;
  }));
}

/** @param {HTMLElement} list a dl @param {readonly (readonly [string, Cell])[]} rows */
export function fillList(list, rows) {
  list.replaceChildren(...rows.map(([name, value]) => {
    const pair = document.createElement("div");
    pair.append(textElement("dt", name), cellElement(value, "dd"));
    return pair;
  }));
}

/** @param {string} text @returns {Cell} of a column of numbers */
export const number = (text) => ({ text, className: "facts__number" });
