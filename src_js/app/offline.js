/**
 * Registers the service worker, which keeps the page (not the model) for offline visits, and takes a new
 * version of the page when the user asks for it: at once, or, while a picture or a download is on its way,
 * right after it. The running version is never swapped unasked.
 */

import { trustedScriptUrl } from "./trusted_types.js";

/**
 * What is to be said about a new version: nothing, that there is one, or that it is taken once the work is done.
 * @typedef {"none"|"offered"|"afterwards"} UpdateState
 */

/** How long nothing may be on its way before an accepted version is taken: the next picture of a queue begins sooner, the last is stored. */
const REST_MS = 1000;
/** How often a page that stays open asks for a new version, at most. */
const ASK_MS = 60 * 60 * 1000;
/** How long a first visit may keep the service worker waiting. */
const FIRST_VISIT_MS = 10_000;
/** The lock by which a page tells which build it runs; site/sw.js.j2 reads it. */
const LOCK = "kleinbild-build ";

/** A new version of the page: offered, accepted, taken. No DOM. */
export class Update {
  /** @type {UpdateState} */
  #state = "none";
  /** @type {Pick<ServiceWorker, "postMessage"> | undefined} undefined: it serves already, another tab took it */
  #waiting;
  #busy = false;
  #taking = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #rest;
  #reload;
  #onChange;
  #restMs;

  /**
   * @param {object} parts
   * @param {() => void} parts.reload
   * @param {(state: UpdateState) => void} parts.onChange
   * @param {number} [parts.restMs]
   */
  constructor({ reload, onChange, restMs = REST_MS }) {
    this.#reload = reload;
    this.#onChange = onChange;
    this.#restMs = restMs;
  }

  get state() {
    return this.#state;
  }

  /** @param {Pick<ServiceWorker, "postMessage">} [waiting] the version that waits; none: it serves already */
  offer(waiting) {
    this.#waiting = waiting;
    if (this.#state === "none") this.#tell("offered");
  }

  /** Takes the offered version, or promises to. */
  accept() {
    if (this.#state === "none") return;
    if (!this.#busy) return this.#take();
    this.#tell("afterwards");
  }

  /** @param {boolean} busy whether a picture or a download is on its way */
  setBusy(busy) {
    this.#busy = busy;
    clearTimeout(this.#rest);
    if (busy || this.#state !== "afterwards") return;
    this.#rest = setTimeout(() => this.#take(), this.#restMs);
  }

  /** The page is served by another service worker from now on. */
  changed() {
    if (this.#taking) this.#reload();
    else this.offer(undefined);
  }

  #take() {
    this.#taking = true;
    if (this.#waiting) this.#waiting.postMessage("skip-waiting");
    else this.#reload();
  }

  /** @param {UpdateState} state */
  #tell(state) {
    this.#state = state;
    this.#onChange(state);
  }
}

/**
 * @param {string} build of this page
 * @param {Update} update
 * @param {Promise<unknown>} [usable] when somebody can use the page: on a first visit nothing is fetched for later ones before that
 * @returns {Promise<void>} never rejected: without a service worker the page works, online only
 */
export async function keepOffline(build, update, usable = Promise.resolve()) {
  const container = navigator.serviceWorker;
  if (!container) return;
  let controlled = container.controller !== null;
  container.addEventListener("controllerchange", () => {
    if (controlled) update.changed();
    controlled = true;                                     // the first one only begins to serve this very version
  });
  try {
    await holdBuild(build);
    container.controller?.postMessage("opened");
    if (!controlled) await settledOrLate(usable);
    const registration = await container.register(trustedScriptUrl("/sw.js"), { scope: "/", updateViaCache: "none" });
    if (registration.waiting && controlled) update.offer(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const { installing } = registration;
      installing?.addEventListener("statechange", () => {
        if (installing.state === "installed" && controlled) update.offer(installing);
      });
    });
    askAgain(registration);
  } catch {
    // Blocked or failed: said in the diagnosis only, because nothing that works now stops working.
  }
}

/** @param {Promise<unknown>} usable @returns {Promise<void>} when it is settled, or does not come to an end */
async function settledOrLate(usable) {
  const late = new Promise((resolve) => setTimeout(resolve, FIRST_VISIT_MS));
  await Promise.race([usable.catch(() => undefined), late]);
}

/** Tells the service worker, for as long as this page is open, which build it runs. @param {string} build @returns {Promise<void>} */
function holdBuild(build) {
  return new Promise((resolve) => {
    const { locks } = navigator;
    if (!locks) return resolve();
    const whileOpen = () => {
      resolve();
      return new Promise(() => {});
    };
    locks.request(LOCK + build, { mode: "shared" }, whileOpen).catch(() => resolve());
  });
}

/** A page that is installed may stay open for weeks: it asks again when somebody comes back to it. @param {ServiceWorkerRegistration} registration */
function askAgain(registration) {
  let asked = Date.now();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible" || Date.now() - asked < ASK_MS) return;
    asked = Date.now();
    registration.update().catch(() => {});                 // no connection: next time
  });
}
