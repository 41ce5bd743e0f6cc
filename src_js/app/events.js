/**
 * What views tell each other without knowing each other. Detail types stand here, so that a listener and a teller cannot
 * disagree unnoticed.
 */

/**
 * The settings of a picture, as one view hands them to another; the seed decimal.
 * @typedef {{ prompt: string, width: number, height: number, seed: string, steps: number }} PictureSettings
 */

/**
 * @typedef {object} AppEvents
 * @property {{ png: Uint8Array<ArrayBuffer>, settings: PictureSettings, seconds: number }} picture-made
 * @property {Partial<PictureSettings>} use-settings the make view takes them into its form
 * @property {{}} gallery-changed
 * @property {{}} models-changed
 * @property {{ files: File[] }} open-files that the system opened the installed app with
 * @property {{ manifest: string }} model-chosen its path on this site
 * @property {{ busy: boolean }} busy whether the GPU is at work for somebody
 * @property {{ downloading: boolean }} downloading whether parts of a model are on their way behind everything else; told again and again
 * @property {{ hold: "here"|"finishing"|"away" }} gpu whether this tab has the GPU; finishing: it makes one more picture, then hands it over
 * @property {import("./loan_offer.js").Offer} lend somebody opened the address that a picture server printed
 * @property {{ info: import("../protocol.js").ReadyInfo }} ready a model runs on the GPU, or its kernels were measured again
 * @property {{ view: string, params: URLSearchParams }} route a view is shown, the first time right after it was opened
 * @property {{ language: string }} language what is shown by `showText` and in the markup has changed already
 */

/** @typedef {"busy"|"ready"} State what holds until it is told anew */

/** @type {ReadonlySet<keyof AppEvents>} */
const STATES = new Set(/** @type {State[]} */ (["busy", "ready"]));

export class Events {
  /** @type {Map<keyof AppEvents, Set<(detail: any) => void>>} */
  #listeners = new Map();
  /** What was told of a state last. @type {Map<keyof AppEvents, any>} */
  #states = new Map();

  /**
   * @template {keyof AppEvents} Name
   * @param {Name} name
   * @param {(detail: AppEvents[Name]) => void} listener
   * @returns {() => void} stops listening
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * As `on`, for a view that may open late: it hears at once what was told last, if anything.
   * @template {State} Name
   * @param {Name} name
   * @param {(detail: AppEvents[Name]) => void} listener
   * @returns {() => void} stops listening
   */
  onState(name, listener) {
    if (this.#states.has(name)) listener(this.#states.get(name));
    return this.on(name, listener);
  }

  /**
   * Tells every listener; one that throws is reported and keeps nobody from hearing it.
   * @template {keyof AppEvents} Name
   * @param {Name} name
   * @param {AppEvents[Name]} detail
   */
  emit(name, detail) {
    if (STATES.has(name)) this.#states.set(name, detail);
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
