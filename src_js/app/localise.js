/**
 * Keeps the page's words in the chosen language: those of the markup (`data-t`, `data-t-attr`), which the packager filled
 * in English, and those that scripts wrote with `showText`. Changing the language then needs no view to do anything.
 */

/** @typedef {import("./i18n.js").I18n} I18n */

/** What writes an element's text, or one of its attributes ("" is the text). @type {WeakMap<Element, Map<string, () => string>>} */
const renderers = new WeakMap();

/**
 * Shows what `render` gives, now and again whenever the language changes.
 * @param {Element} element
 * @param {(() => string) | string} render a plain string, the same in every language, ends an earlier `render`
 * @param {string} [attribute] shown there instead of as the element's text
 */
export function showText(element, render, attribute = "") {
  const known = renderers.get(element) ?? new Map();
  renderers.set(element, known);
  if (typeof render === "string") known.delete(attribute);
  else known.set(attribute, render);
  element.toggleAttribute("data-live-text", known.size > 0);
  write(element, attribute, typeof render === "string" ? render : render());
}

/** Writes everything below `root` in the language of `i18n`. @param {ParentNode} root @param {I18n} i18n */
export function localise(root, i18n) {
  for (const element of root.querySelectorAll("[data-t], [data-t-attr]")) {
    const values = JSON.parse(element.getAttribute("data-t-values") ?? "{}");
    const key = element.getAttribute("data-t");
    if (key !== null) element.textContent = i18n.t(key, values);
    for (const pair of (element.getAttribute("data-t-attr") ?? "").split(";")) {
      const [name = "", attributeKey] = pair.trim().split(":");
      if (attributeKey) element.setAttribute(name, i18n.t(attributeKey, values));
    }
  }
  for (const element of root.querySelectorAll("[data-live-text]")) {
    for (const [attribute, render] of renderers.get(element) ?? []) write(element, attribute, render());
  }
}

/** @param {Element} element @param {string} attribute @param {string} text */
function write(element, attribute, text) {
  if (attribute) element.setAttribute(attribute, text);
  else if (element.textContent !== text) element.textContent = text;
}
