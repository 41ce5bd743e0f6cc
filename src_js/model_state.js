/**
 * What is said of the models on this device: types only, which storage, worker and page share.
 */

/**
 * @typedef {object} ModelState
 * @property {string} id
 * @property {string} name
 * @property {"f32"|"f16"|"q4"} weights
 * @property {string} revision
 * @property {Record<string, string>} notice what its maker tells about it, by language; {} when nothing
 * @property {string} manifest path on the site, by which a start names the model
 * @property {boolean} offered whether the site has it
 * @property {boolean} default whether the page opens it unless another one was chosen
 * @property {boolean} installed whether anything of it was asked for and not removed
 * @property {boolean} paused whether its download was paused by hand
 * @property {boolean} interrupted whether its download ended in any other way before it was whole
 * @property {number} bytes that it takes on this device when it is whole
 * @property {number} hereBytes of them that are here
 * @property {number} ownBytes of those that no other installed model needs
 * @property {number} missingBytes to download, as they are sent
 * @property {number} missingFiles
 * @property {number | null} verified since when every byte of it is known to be right, in ms since 1970; null when it is not whole or unknown
 * @property {string[]} damaged names of its files that were set aside
 * @property {string | null} replaces the id of an installed model that this one is a newer revision of
 *
 * @typedef {object} StoreState what the models' folder holds, counted file by file
 * @property {boolean} persistent false when the browser keeps nothing beyond this visit
 * @property {number} bytes of all files
 * @property {number} leftoverBytes of them that no installed model needs: set aside, or of a model removed or replaced
 * @property {boolean} offline whether the site's own list of models could not be fetched
 *
 * @typedef {{ models: ModelState[], store: StoreState }} Inventory
 */

export {};
