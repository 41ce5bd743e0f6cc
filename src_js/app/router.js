/**
 * Which view is shown: the fragment `#/view?parameters` says so, so that back, forward and links work without a request.
 * Opens a view's code when it is first shown.
 */

import { element } from "./elements.js";

/** @typedef {{ view: string, params: URLSearchParams }} Route */

/**
 * @param {string} hash location.hash: anything at all
 * @param {readonly string[]} views of this page; the first is shown for what names none
 * @returns {Route}
 */
export function parseRoute(hash, views) {
  const [, name = "", query = ""] = /^#\/([a-z]+)(?:\?(.*))?$/s.exec(hash) ?? [];
  if (views.includes(name)) return { view: name, params: new URLSearchParams(query) };
  return { view: views[0] ?? "", params: new URLSearchParams() };
}

/** @param {string} view @param {Record<string, string> | URLSearchParams} [params] @returns {string} the fragment that names them */
export function routeHash(view, params = {}) {
  const query = new URLSearchParams(params).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

export class Router {
  #views;
  #open;
  #onRoute;
  /** @type {Map<string, Promise<void>>} */
  #opened = new Map();
  #shown = "";

  /**
   * @param {readonly string[]} views
   * @param {object} parts
   * @param {(view: string) => Promise<void>} parts.open called once a view, before it is first shown
   * @param {(route: Route) => void} parts.onRoute after a view is shown, also for other parameters of the same one
   */
  constructor(views, { open, onRoute }) {
    this.#views = views;
    this.#open = open;
    this.#onRoute = onRoute;
  }

  /** Shows what the address says, now and from now on. @returns {Promise<void>} when the first view is open */
  start() {
    addEventListener("hashchange", () => void this.#show().catch(reportError));
    return this.#show();
  }

  /** @param {string} view @param {Record<string, string>} [params] */
  navigate(view, params) {
    location.hash = routeHash(view, params);
  }

  /** Opens a view's code, once, shown or not. @param {string} view @returns {Promise<void>} */
  open(view) {
    let opened = this.#opened.get(view);
    if (!opened) this.#opened.set(view, (opened = this.#open(view)));
    return opened.catch((error) => {
      this.#opened.delete(view);                                         // its script may arrive the next time
      throw error;
    });
  }

  async #show() {
    const route = parseRoute(location.hash, this.#views);
    const { view } = route;
    const first = this.#shown === "";
    const changed = this.#shown !== view;
    this.#shown = view;
    for (const name of this.#views) element(`view-${name}`, HTMLElement).hidden = name !== view;
    for (const link of document.querySelectorAll("[data-link]")) {
      if (link.getAttribute("data-link") === view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.body.dataset["view"] = view;
    if (changed && !first) {
      scrollTo(0, 0);
      element(`view-${view}`, HTMLElement).querySelector("h1")?.focus({ preventScroll: true });
    }
    await this.open(view);
    if (this.#shown === view) this.#onRoute(route);
  }
}
