/**
 * The address by which a person lends this page's GPU to a picture server, `/#attach=TOKEN` as `serve.py --api --attach` prints it. The
 * token is taken out of the address and kept, so that a reload lends again. What is done with it is make/loan.js's.
 */

/** @typedef {{ token: string, lent: boolean }} Offer lent: false once somebody said stop */

const NAME = "loan";
const TOKEN = /^[A-Za-z0-9_-]{20,100}$/;
const FRAGMENT = /^#attach=([A-Za-z0-9_-]+)$/;

/**
 * @param {Pick<import("./store.js").Store, "read"|"write">} store
 * @param {{ location: Pick<Location, "hash">, history: Pick<History, "replaceState"> }} [scope]
 * @returns {Offer | undefined} that of the address, else the one that is kept
 */
export function takeOffer(store, { location, history } = globalThis) {
  const token = FRAGMENT.exec(location.hash)?.[1];
  if (token !== undefined) {
    history.replaceState(null, "", "/");
    const offer = { token, lent: true };
    keepOffer(store, offer);
    return TOKEN.test(token) ? offer : undefined;
  }
  const kept = /** @type {Partial<Offer> | undefined} */ (store.read(NAME));
  if (typeof kept?.token !== "string" || !TOKEN.test(kept.token)) return undefined;
  return { token: kept.token, lent: kept.lent !== false };
}

/** @param {Pick<import("./store.js").Store, "write">} store @param {Offer | undefined} offer undefined: there is no such server any more */
export function keepOffer(store, offer) {
  store.write(NAME, offer);
}

/** @param {string} hash location.hash @returns {boolean} whether it is such an address */
export function isOffer(hash) {
  return FRAGMENT.test(hash);
}
