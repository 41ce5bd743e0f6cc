/**
 * The page's one Trusted Types policy, "app": only scripts of this build, and the service worker, may become
 * script addresses. The Content-Security-Policy allows no other policy and no plain string.
 */

/** @param {string} url @param {string} origin @returns {string} */
export function checkScriptUrl(url, origin) {
  const { origin: from, pathname, href } = new URL(url, origin);
  const known = pathname === "/sw.js" || /^\/v\/[^/]+\/src_js\/[a-z0-9_/]+\.js$/.test(pathname);
  if (from !== origin || !known) throw new TypeError(`${url} is not a script of this site`);
  return href;
}

/** @type {{ createScriptURL(url: string): unknown } | undefined} */
let policy;

/** @param {string} url @returns {string} a TrustedScriptURL where there are any, typed as the string it stands for */
export function trustedScriptUrl(url) {
  const rules = { createScriptURL: (/** @type {string} */ input) => checkScriptUrl(input, location.origin) };
  const factory = /** @type {{ createPolicy(name: string, rules: object): typeof policy } | undefined} */ (
    /** @type {any} */ (globalThis).trustedTypes);
  policy ??= factory?.createPolicy("app", rules) ?? rules;
  return /** @type {string} */ (policy?.createScriptURL(url));
}
