/**
 * While nobody is there: pictures that come and go, and words that wander, so that nothing burns into the screen. Who wants less motion
 * gets plain changes.
 */

const PICTURE_SECONDS = 9;
/** Corners and middle of the screen, as places in a 3 x 3 grid: [block, inline]. */
const PLACES = /** @type {const} */ (["middle", "top", "bottom"]);

export class Attract {
  /** @type {string[]} */
  #pictures = [];
  #turn = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} stage
   * @param {HTMLElement} words
   * @param {() => Promise<string[]>} fetchPictures addresses, [] for none
   */
  constructor(stage, words, fetchPictures) {
    this.stage = stage;
    this.words = words;
    this.fetchPictures = fetchPictures;
  }

  start() {
    this.stop();
    this.#timer = setInterval(() => void this.#next(), PICTURE_SECONDS * 1000);
    void this.#next();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.stage.replaceChildren();
  }

  async #next() {
    const timer = this.#timer;
    // Anew each round: the operator may add pictures, visitors do.
    if (this.#pictures.length === 0 || this.#turn % this.#pictures.length === 0) this.#pictures = await this.fetchPictures();
    const url = this.#pictures[this.#turn % Math.max(1, this.#pictures.length)];
    this.#turn += 1;
    this.words.dataset["place"] = PLACES[this.#turn % PLACES.length];
    if (url === undefined || timer !== this.#timer) return;
    const image = document.createElement("img");
    image.src = url;
    image.alt = "";
    image.className = "kattract__picture";
    image.dataset["drift"] = String(this.#turn % 2);
    const there = await image.decode().then(() => true, () => false);
    if (!there || timer !== this.#timer) return;
    this.stage.append(image);
    requestAnimationFrame(() => image.classList.add("kattract__picture--shown"));
    const [oldest] = this.stage.children;
    if (this.stage.children.length > 2) oldest?.remove();
  }
}
