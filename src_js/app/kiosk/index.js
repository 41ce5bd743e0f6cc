/**
 * The kiosk face's entry: gets the operator's settings from the kiosk's server, speaks the first language, locks the page, and opens the
 * kiosk. Where there is no kiosk's server it says so.
 */

import { asKleinbildError } from "../../errors.js";
import { element } from "../elements.js";
import { I18n } from "../i18n.js";
import { fetchCatalogue } from "../language.js";
import { localise, showText } from "../localise.js";
import { Update, keepOffline } from "../offline.js";
import { WorkerClient } from "../worker_client.js";
import { Desk } from "./desk.js";
import { Kiosk } from "./kiosk.js";
import { lockDown } from "./lockdown.js";
import { Screens } from "./screens.js";
import { Visit } from "./visit.js";

const ASK_AGAIN_MS = 2000;

/** @type {{ manifest: string, build: string, languages: string[] }} */
const site = JSON.parse(element("kleinbild", HTMLScriptElement).text);

/** @param {I18n} i18n */
async function open(i18n) {
  i18n.use("en", await fetchCatalogue("en"));
  const desk = new Desk(localStorage);
  const config = await settings(desk, i18n);
  lockDown(window);
  const speak = async (/** @type {string} */ language) => {
    i18n.use(language, await fetchCatalogue(language));
    document.documentElement.lang = i18n.language;
    document.documentElement.dir = i18n.direction;
    localise(document, i18n);
  };
  await speak(config.languages[0] ?? "en");
  const client = new WorkerClient(new URL("../../worker/main.js", import.meta.url));
  const visit = new Visit(client, { manifestUrl: site.manifest, memoryBytes: config.memoryBytes });
  // What the model's own number of steps is; the worker says no more of a model that it cannot read.
  const steps = await client.inspect(site.manifest).then(({ defaults }) => defaults.steps, () => 1);
  const kiosk = new Kiosk({ desk, config, visit, i18n, speak, build: site.build, steps });
  const update = new Update({
    reload: () => location.reload(),
    onChange(state) {
      if (state === "offered") kiosk.offerUpdate(() => update.accept());
    },
  });
  void keepOffline(site.build, update);
  await kiosk.open();
}

/** @param {Desk} desk @param {I18n} i18n @returns {Promise<import("./desk.js").KioskConfig>} however long it takes */
async function settings(desk, i18n) {
  for (;;) {
    const config = await desk.config();
    if (config !== null) return config;
    showText(element("starting-text", HTMLElement), () => i18n.t("kiosk.starting.waiting"));
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

const words = new I18n("en", {});
open(words).catch((error) => {
  const { code, message } = asKleinbildError(error);
  const kind = code === "bad-input" ? "no_kiosk" : "machine";
  showText(element("failure-title", HTMLElement), words.t(`kiosk.failure.${kind}.title`));
  showText(element("failure-text", HTMLElement), words.t(`kiosk.failure.${kind}.text`));
  element("failure-code", HTMLElement).textContent = `${code}: ${message}`;
  element("failure-buttons", HTMLElement).hidden = true;
  new Screens(document.body, () => undefined).show("failure");
});
