/**
 * The gallery's place in a real browser: OPFS, a lock and a channel that the tabs of this origin share, and thumbnails by a canvas.
 */

const LOCK = "kleinbild-gallery";
const OPEN_LOCK = "kleinbild-gallery-open";
const CHANNEL = "kleinbild-gallery";
/** Of the longer side: what a frame of the grid shows on a screen of two device pixels a point. */
const THUMBNAIL_PIXELS = 384;
const THUMBNAIL_QUALITY = 0.82;

/**
 * @param {() => void} onChange another tab changed something
 * @returns {import("./gallery.js").Place}
 */
export function browserPlace(onChange) {
  const channel = new BroadcastChannel(CHANNEL);
  channel.addEventListener("message", onChange);
  return {
    root: () => navigator.storage.getDirectory(),
    makeThumbnail,
    exclusively: async (task) => navigator.locks.request(LOCK, task),
    alone,
    tell: () => channel.postMessage("changed"),
  };
}

/** Every open tab holds the second lock, shared, until it ends. @returns {Promise<boolean>} */
async function alone() {
  const first = await navigator.locks.request(OPEN_LOCK, { ifAvailable: true }, async (lock) => lock !== null);
  void navigator.locks.request(OPEN_LOCK, { mode: "shared" }, () => new Promise(() => {}));
  return first;
}

/**
 * @param {Blob} picture
 * @returns {Promise<Blob | null>} WebP, of no more pixels than the picture itself; null when there is no canvas: they may go with a GPU
 *   that is lost
 * @throws {DOMException} where it is no picture
 */
async function makeThumbnail(picture) {
  const whole = await createImageBitmap(picture);
  try {
    const scale = Math.min(1, THUMBNAIL_PIXELS / Math.max(whole.width, whole.height));
    const [width, height] = [whole.width, whole.height].map((side) => Math.max(1, Math.round(side * scale)));
    const canvas = new OffscreenCanvas(width ?? 1, height ?? 1);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.drawImage(whole, 0, 0, canvas.width, canvas.height);
    return await canvas.convertToBlob({ type: "image/webp", quality: THUMBNAIL_QUALITY });
  } catch {
    return null;
  } finally {
    whole.close();
  }
}
