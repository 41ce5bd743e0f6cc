/**
 * Registers the service worker, which keeps the page (not the model) for offline visits, and offers a new
 * version of the page when there is one. The running version is never swapped unasked.
 */

import { trustedScriptUrl } from "./trusted_types.js";

/**
 * @param {(accept: () => void) => void} onUpdate called when a new version waits; `accept` reloads the page with it
 * @returns {Promise<void>} never rejected: without a service worker the page works, online only
 */
export async function keepOffline(onUpdate) {
  const container = navigator.serviceWorker;
  if (!container) return;
  try {
    const registration = await container.register(trustedScriptUrl("/sw.js"), { scope: "/" });
    const offer = (/** @type {ServiceWorker} */ waiting) => onUpdate(() => {
      container.addEventListener("controllerchange", () => location.reload(), { once: true });
      waiting.postMessage("skip-waiting");
    });
    if (registration.waiting && container.controller) offer(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const { installing } = registration;
      installing?.addEventListener("statechange", () => {
        if (installing.state === "installed" && container.controller) offer(installing);
      });
    });
  } catch {
    // Blocked or failed: said nowhere, because nothing that works now stops working.
  }
}
