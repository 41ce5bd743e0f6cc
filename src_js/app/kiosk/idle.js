/**
 * When a visitor has gone: after a while without a touch a countdown begins, and at its end everything is cleared. Counts seconds on
 * ticks from outside, so that tests need no time.
 */

export class IdleWatch {
  #quiet = 0;
  #held = true;

  /**
   * @param {{ idleSeconds: number, countdownSeconds: number }} limits
   * @param {{ onCountdown: (left: number) => void, onBack: () => void, onGone: () => void }} tell onCountdown: seconds left, each second;
   *   onBack: somebody is there after all; onGone: nobody is
   */
  constructor({ idleSeconds, countdownSeconds }, tell) {
    this.idleSeconds = idleSeconds;
    this.countdownSeconds = countdownSeconds;
    this.tell = tell;
  }

  /** Whether the countdown runs. */
  get counting() {
    return !this.#held && this.#quiet >= this.idleSeconds;
  }

  /** Nothing is counted until `watch`: nobody has come yet, or is watching a picture being made. */
  hold() {
    if (this.counting) this.tell.onBack();
    this.#held = true;
  }

  /** Counts from zero. */
  watch() {
    this.touch();
    this.#held = false;
  }

  /** Somebody is there. */
  touch() {
    if (this.counting) this.tell.onBack();
    this.#quiet = 0;
  }

  /** A second has passed. */
  tick() {
    if (this.#held) return;
    this.#quiet += 1;
    const left = this.idleSeconds + this.countdownSeconds - this.#quiet;
    if (left <= 0) {
      this.#held = true;
      this.tell.onGone();
    } else if (this.counting) this.tell.onCountdown(left);
  }
}
