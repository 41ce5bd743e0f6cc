/**
 * One tab at a time has the GPU: two models would not fit. The tab that opened first owns it, by a Web Lock, which the browser takes away
 * from a tab that is closed or dies; the others wait, and any of them may ask for it. Who owns it finishes or cancels what it has in
 * hand, as the one who asks wishes, frees the GPU and waits in turn. No DOM.
 */

const LOCK = "kleinbild-gpu";
const CHANNEL = "kleinbild-gpu";
/** An owner that has not said a word by then does not work. */
const ANSWER_MS = 3000;
/** So long an owner waits until the others in the line have heard who asked, and stepped behind. */
const STEP_BACK_MS = 50;

/**
 * @typedef {"finish"|"cancel"} Manner what becomes of the picture that the owner is making
 * @typedef {{state: "owner"} | {state: "taken", busy: boolean, asked: boolean, silent: boolean}} Ownership taken: another tab has the GPU;
 *   busy: and is making a picture; asked: it was asked to hand it over; silent: it does not answer
 */

/**
 * What tabs tell each other.
 * @typedef {{type: "who"} | {type: "state", busy: boolean} | {type: "ask", from: string, manner: Manner} | {type: "yielding", to: string}} News
 */

/**
 * @typedef {object} Owner what an owner does for others
 * @property {(ownership: Ownership) => void} onChange told at every change, and once at the start
 * @property {(manner: Manner) => Promise<void>} onAsked finishes or cancels the picture in hand, and frees the GPU
 */

export class TabOwnership {
  #locks;
  #channel;
  #owner;
  #id = crypto.randomUUID();
  /** @type {Ownership} */
  #ownership = { state: "taken", busy: false, asked: false, silent: false };
  #busy = false;
  /** @type {(() => void) | undefined} gives the lock back */
  #release;
  /** @type {AbortController | undefined} of the place in the line for the lock */
  #waiting;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;

  /**
   * @param {Owner} owner
   * @param {Pick<LockManager, "request">} [locks]
   * @param {BroadcastChannel} [channel]
   */
  constructor(owner, locks = navigator.locks, channel = new BroadcastChannel(CHANNEL)) {
    this.#owner = owner;
    this.#locks = locks;
    this.#channel = channel;
    channel.addEventListener("message", ({ data }) => void this.#hear(data));
  }

  /** @returns {Ownership} */
  get ownership() {
    return this.#ownership;
  }

  /** Takes the GPU if no tab has it, else waits for it. @returns {Promise<void>} settled when it is known which */
  async open() {
    await new Promise((resolve) => {
      void this.#locks.request(LOCK, { ifAvailable: true }, async (lock) => {
        if (!lock) return resolve(undefined);
        const held = this.#hold();
        resolve(undefined);
        await held;
      });
    });
    if (this.#ownership.state === "owner") return;
    this.#become({ state: "taken", busy: false, asked: false, silent: false });
    this.#queue();
    this.#tell({ type: "who" });
  }

  /** Asks the owner for the GPU. @param {Manner} manner */
  ask(manner) {
    if (this.#ownership.state === "owner") return;
    this.#become({ ...this.#ownership, asked: true, silent: false });
    this.#tell({ type: "ask", from: this.#id, manner });
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      if (this.#ownership.state === "taken") this.#become({ ...this.#ownership, asked: false, silent: true });
    }, ANSWER_MS);
  }

  /** Whether this tab is making a picture: others are told. @param {boolean} busy */
  setBusy(busy) {
    this.#busy = busy;
    if (this.#ownership.state === "owner") this.#tell({ type: "state", busy });
  }

  /** @param {News} news */
  async #hear(news) {
    const owns = this.#ownership.state === "owner";
    if (news.type === "who" && owns) this.#tell({ type: "state", busy: this.#busy });
    else if (news.type === "state" && this.#ownership.state === "taken") this.#become({ ...this.#ownership, busy: news.busy });
    else if (news.type === "yielding" && news.to === this.#id) clearTimeout(this.#patience);
    else if (news.type === "ask" && news.from !== this.#id) await (owns ? this.#yield(news) : this.#queue());
  }

  /** @param {{from: string, manner: Manner}} ask */
  async #yield({ from, manner }) {
    this.#tell({ type: "yielding", to: from });
    await this.#owner.onAsked(manner);
    await new Promise((resolve) => setTimeout(resolve, STEP_BACK_MS));
    this.#become({ state: "taken", busy: false, asked: false, silent: false });
    this.#release?.();
    this.#release = undefined;
    this.#queue();
  }

  /** (Again) at the end of the line: whoever asks goes first. */
  #queue() {
    this.#waiting?.abort();
    const waiting = new AbortController();
    this.#waiting = waiting;
    const request = this.#locks.request(LOCK, { signal: waiting.signal }, () => (waiting.signal.aborted ? undefined : this.#hold()));
    request.catch(() => undefined);                        // given up for another place
  }

  /** @returns {Promise<void>} the lock is held until it settles */
  #hold() {
    this.#waiting = undefined;
    clearTimeout(this.#patience);
    const held = new Promise((resolve) => (this.#release = () => resolve(undefined)));
    this.#become({ state: "owner" });
    this.#tell({ type: "state", busy: this.#busy });
    return /** @type {Promise<void>} */ (held);
  }

  /** @param {News} news */
  #tell(news) {
    this.#channel.postMessage(news);
  }

  /** @param {Ownership} ownership */
  #become(ownership) {
    this.#ownership = ownership;
    this.#owner.onChange(ownership);
  }
}
