/** Says that this page lends its GPU to a picture server, with a button that stops it, and joins the loan to the page. */

import { Channel } from "../channel.js";
import { element } from "../elements.js";
import { keepOffer } from "../loan_offer.js";
import { showText } from "../localise.js";
import { Loan } from "./loan.js";

/**
 * @param {import("../app.js").App} app
 * @param {import("./studio.js").Studio} studio
 * @param {import("./queue_runner.js").QueueRunner} runner
 * @returns {Loan}
 */
export function openLoan({ client, events, i18n, settings, site }, studio, runner) {
  const [banner, words, button] = [element("loan", HTMLElement), element("loan-words", HTMLElement), element("loan-switch", HTMLButtonElement)];
  let lent = true;
  const loan = new Loan({
    manifestUrl: site.manifest,
    studio,
    runner,
    plan: (asked) => client.plan(asked),
    open: (token) => new Channel("/attach", ["kleinbild", token, `build.${site.build}`]),
    keep: (offer) => keepOffer(settings, offer),
    show(state) {
      banner.hidden = state === "none";
      if (state === "none") return;
      lent = state !== "off";
      showText(words, () => i18n.t(`shell.loan.${state}`));
      showText(button, () => i18n.t(lent ? "shell.loan.stop" : "shell.loan.start"));
      button.hidden = state === "old";
    },
  });
  button.addEventListener("click", () => loan.lend(!lent));
  events.on("gpu", ({ hold }) => loan.setHold(hold));
  let here = true;
  try {
    client.gate?.();
  } catch {
    here = false;                                            // another tab has the GPU
  }
  loan.setHold(here ? "here" : "away");
  return loan;
}
