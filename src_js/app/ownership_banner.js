/**
 * Says, on a tab that does not have the GPU, that another one has it, and offers to take it over; lets the worker use it on the one that
 * has. The rules are ownership.js's.
 */

import { KleinbildError } from "../errors.js";
import { element } from "./elements.js";
import { showText } from "./localise.js";
import { TabOwnership } from "./ownership.js";

/**
 * @typedef {import("./ownership.js").Manner} Manner
 * @typedef {import("./ownership.js").Ownership} Ownership
 */

/**
 * @param {import("./app.js").App} app
 * @returns {Promise<void>} settled when it is known whether this tab has the GPU
 */
export async function joinOwnership({ client, events, i18n, announce }) {
  if (!navigator.locks) return;                            // no secure address: there is no GPU to share either, as the view will say
  const [banner, words] = [element("owner", HTMLElement), element("owner-words", HTMLElement)];
  const [take, stop] = [element("owner-take", HTMLButtonElement), element("owner-stop", HTMLButtonElement)];
  let busy = false;
  /** @type {(() => void)[]} wait for the picture in hand */
  let waiting = [];
  const idle = () => (busy ? new Promise((resolve) => waiting.push(() => resolve(undefined))) : Promise.resolve());

  /** @param {Ownership} ownership */
  const show = (ownership) => {
    const taken = ownership.state === "taken";
    events.emit("gpu", { hold: taken ? "away" : "here" });
    const asked = taken && ownership.asked;
    if (taken && banner.hidden) announce(i18n.t("shell.owner.taken"));
    if (!taken && !banner.hidden) announce(i18n.t("shell.owner.here"));
    banner.hidden = !taken;
    if (!taken) return;
    const key = ownership.silent ? "silent" : asked ? "asked" : ownership.busy ? "busy" : "taken";
    showText(words, () => i18n.t(`shell.owner.${key}`));
    showText(take, () => i18n.t(ownership.busy ? "shell.owner.wait" : "shell.owner.take"));
    take.hidden = asked;
    stop.hidden = asked || !ownership.busy;
  };

  const tabs = new TabOwnership({
    onChange: show,
    async onAsked(manner) {
      events.emit("gpu", { hold: manner === "cancel" ? "away" : "finishing" });
      if (manner === "cancel") client.cancel();
      await idle();
      client.terminate();
    },
  });
  client.gate = () => {
    if (tabs.ownership.state !== "owner") throw new KleinbildError("in-use", i18n.t("shell.owner.taken"));
  };
  take.addEventListener("click", () => tabs.ask("finish"));
  stop.addEventListener("click", () => tabs.ask("cancel"));
  events.on("busy", (news) => {
    busy = news.busy;
    tabs.setBusy(busy);
    if (busy) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  });
  await tabs.open();
}
