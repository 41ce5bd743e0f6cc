/** The entry of the models' worker: joins its controller to this origin's storage, to the site, and to the page. */

import { ModelLibrary } from "../storage/library.js";
import { Page } from "../storage/export.js";
import { ModelsController } from "./models.js";

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
/** The folder of this build. */
const BUILD = new URL("../../", import.meta.url);

/** @type {Promise<ModelLibrary> | undefined} */
let library;
const controller = new ModelsController({
  library() {
    library ??= ModelLibrary.open(new URL("/", BUILD).href);
    library.catch(() => (library = undefined));
    return library;
  },
  page: new Page(BUILD),
  post: (message) => scope.postMessage(message),
});

scope.addEventListener("message", (event) => void controller.handle(event.data));
