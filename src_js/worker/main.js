/**
 * The one dedicated worker's entry: joins the controller to the real model and to the page. Whatever escapes
 * the controller still reaches the page as an error message.
 */

import { asKleinbildError } from "../errors.js";
import { encodePng } from "../image/png.js";
import { Controller } from "./controller.js";
import { checkKernels, diagnose } from "./diagnosis.js";
import { planMemory } from "./memory.js";
import { fetchLater, inspectModel, loadModel, openKept, openModel } from "./model.js";

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @param {import("../protocol.js").FromWorker} message @param {Transferable[]} transfer */
const post = (message, transfer) => scope.postMessage(message, transfer);
const kept = openKept();
const controller = new Controller({
  openModel,
  inspectModel,
  planMemory,
  diagnose,
  checkKernels,
  loadModel: async (model, options) => loadModel(model, await kept, options),
  fetchLater,
  forgetPrompts: async () => (await kept).prompts.clear(),
  encodePng,
  post,
});

scope.addEventListener("message", (event) => void controller.handle(event.data));
scope.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  const { code, message } = asKleinbildError(event.reason);
  post({ type: "error", job: null, code, message }, []);
});
