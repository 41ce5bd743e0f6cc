/**
 * The page's entry: speaks the language, makes the App, routes to its views, and decides between a page for people and a
 * headless run.
 */

import { asKleinbildError } from "../errors.js";
import { announce, toast } from "./announce.js";
import { element } from "./elements.js";
import { Events } from "./events.js";
import { followLinks, receivePictures } from "./gallery/restore.js";
import { keepPictures } from "./gallery/shared.js";
import { joinLanguageMenu, openLanguage } from "./language.js";
import { takeLaunches } from "./launch.js";
import { isOffer, takeOffer } from "./loan_offer.js";
import { showText } from "./localise.js";
import { joinOwnership } from "./ownership_banner.js";
import { tellNotice } from "./notice.js";
import { Router } from "./router.js";
import { Store } from "./store.js";
import { offerUpdates } from "./update_banner.js";
import { WorkerClient } from "./worker_client.js";

/** @typedef {import("./app.js").App} App */

/** @type {import("./app.js").Site} */
const site = JSON.parse(element("kleinbild", HTMLScriptElement).text);
/** Between the first view and what nobody waits for. */
const REST_MS = 1000;
const client = new WorkerClient(new URL("../worker/main.js", import.meta.url));

/** A page for people. */
async function openPage() {
  const settings = new Store();
  const i18n = await openLanguage(settings, site.languages);
  const events = new Events();
  const router = new Router(site.views, {
    open: (view) => openView(view, app),
    onRoute: (route) => {
      showText(element("title", HTMLTitleElement), () => `${i18n.t(`shell.view.${route.view}`)} \u2013 Kleinbild`);
      events.emit("route", route);
    },
  });
  /** @type {App} */
  const app = { client, site, i18n, announce, toast, settings, events, navigate: (view, params) => router.navigate(view, params) };
  joinLanguageMenu(element("language", HTMLSelectElement), {
    i18n,
    store: settings,
    onChange: () => events.emit("language", { language: i18n.language }),
    onFailure: showTrouble,
  });
  offerUpdates(app);
  tellNotice(site.notice, i18n);
  element("skip", HTMLAnchorElement).addEventListener("click", (event) => {
    event.preventDefault();                                              // the fragment names the view
    element("main", HTMLElement).focus();
  });
  keepPictures(app);
  followLinks(app);
  await joinOwnership(app);
  const lend = async (/** @type {import("./loan_offer.js").Offer | undefined} */ offer) => {
    if (!offer) return;
    await router.open("make");                                           // it has the queue, whatever is shown
    events.emit("lend", offer);
  };
  addEventListener("hashchange", () => isOffer(location.hash) && void lend(takeOffer(settings)).catch(reportError));
  const offer = takeOffer(settings);
  await router.start();
  void lend(offer).catch(reportError);
  receivePictures(app);
  takeLaunches({ openFiles: (files) => events.emit("open-files", { files }) });
  setTimeout(() => void attendModels(app, router).catch(() => undefined), REST_MS);                          // the models view tells what fails
}

/** @param {App} app @param {Router} router */
async function attendModels(app, router) {
  const { attendModels: attend } = await import("./models/attend.js");
  await attend(app, () => router.open("models"));
}

/** @param {string} view @param {App} app */
async function openView(view, app) {
  try {
    const module = await import(`./${view}/index.js`);
    await module[`open${view.charAt(0).toUpperCase()}${view.slice(1)}`](app);
  } catch (error) {
    showTrouble(error);
    throw error;
  }
}

/** A run that `serve.py generate` drives. @param {string} token */
async function runHeadless(token) {
  document.body.dataset["state"] = "headless";
  const headless = await import("./headless.js");
  await headless.runHeadless(token, { client, manifestUrl: site.manifest });
}

/** What keeps the page itself from working. @param {unknown} error */
function showTrouble(error) {
  const banner = element("trouble", HTMLElement);
  banner.hidden = false;
  banner.textContent = asKleinbildError(error).message;
}

const token = /^#headless=([A-Za-z0-9_-]+)$/.exec(location.hash)?.[1];
// The kiosk's face is a page of its own; people know it by this address.
if (new URLSearchParams(location.search).get("kiosk") === "1") location.replace("/kiosk.html");
else (token === undefined ? openPage() : runHeadless(token)).catch(showTrouble);
