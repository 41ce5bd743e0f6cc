/**
 * The make view: joins its form, frame and roll to the studio, and the studio to the app.
 */

import { gpuProblem } from "../capabilities.js";
import { element } from "../elements.js";
import { showText } from "../localise.js";
import { Form } from "./form.js";
import { Frame } from "./frame.js";
import { Roll } from "./roll.js";
import { diceSeed } from "./settings.js";
import { Studio } from "./studio.js";
import { backgroundText, deviceText } from "./wording.js";

/** Pictures may be wrong: that is not said in passing. */
const WARNING_SECONDS = 60;

/** @param {import("../app.js").App} app */
export async function openMake(app) {
  const { client, events, i18n, site } = app;
  const frame = new Frame(app);
  const roll = new Roll(i18n, (exposure) => studio.show(exposure));
  const form = new Form(app, {
    onSubmit: (settings) => void studio.make(settings, form.keepPrompts),
    onCancel: () => studio.cancel(),
    onForget: () => void studio.forgetPrompts(),
    onSize: (picture) => void studio.plan(picture),
  });
  const studio = new Studio(client, site.manifest, {
    form,
    frame,
    roll,
    showReady(info) {
      showText(element("device", HTMLElement), () => deviceText(i18n, info));
      events.emit("ready", { info });
      if (!info.kernels.kinds.some(({ problem }) => problem !== "")) return;
      app.toast(i18n.t("make.kernels_wrong"), {
        action: i18n.t("shell.view.diagnosis"), onAction: () => app.navigate("diagnosis"), seconds: WARNING_SECONDS,
      });
    },
    showBackground(state) {
      showText(element("background", HTMLElement), () => backgroundText(i18n, state));
      events.emit("downloading", { downloading: !state.done && state.problem === "" });
    },
    pictureMade(bytes, { seed, ...settings }, seconds) {
      events.emit("picture-made", { png: bytes, settings: { ...settings, seed: `${seed}` }, seconds });
      return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    },
    tellBusy: (busy) => events.emit("busy", { busy }),
    keepStorage: () => void navigator.storage?.persist?.(),
  });
  element("reuse", HTMLButtonElement).addEventListener("click", () => {
    if (studio.shown) form.take({ ...studio.shown.settings, seed: `${studio.shown.settings.seed}` });
  });
  events.on("use-settings", (settings) => {
    form.take(settings);
    app.navigate("make");
  });
  form.recall(`${diceSeed()}`);
  const problem = await gpuProblem(navigator.gpu);
  if (problem) return frame.showFailure(problem);
  await studio.inspect();
  form.setBusy(false);
}
