/**
 * What a view gets to work with. Types only: main.js makes the one App of the page.
 */

/**
 * What the page is told by its own markup.
 * @typedef {object} Site
 * @property {string} manifest path of the model that the site was built with
 * @property {string} build
 * @property {string[]} views in the order of the navigation
 * @property {string[]} languages in the order of the menu
 * @property {Record<string, string>} notice what its maker tells of that model, by language
 * @property {string[]} examples prompts that suit it, or none
 */

/**
 * A view's folder exports `open<View>(app)`, called once, when the view is first shown. What comes later comes as events.
 * @typedef {object} App
 * @property {import("./worker_client.js").WorkerClient} client
 * @property {Site} site
 * @property {import("./i18n.js").I18n} i18n
 * @property {typeof import("./announce.js").announce} announce
 * @property {typeof import("./announce.js").toast} toast
 * @property {(view: string, params?: Record<string, string>) => void} navigate
 * @property {import("./store.js").Store} settings what is remembered between visits
 * @property {import("./events.js").Events} events
 */

export {};
