/**
 * What opens the installed app beside a click on its icon: a shortcut, or a picture opened with it. The app that is open already gets
 * it (the web app manifest's launch_handler), so that no picture in the making is lost to a second window or a reload.
 */

/**
 * @typedef {{ targetURL?: string | null, files?: readonly { getFile(): Promise<File> }[] }} LaunchParams
 * @typedef {{ setConsumer(consumer: (params: LaunchParams) => void): void }} LaunchQueue TypeScript's library lacks it
 */

/** Opened at once, no more are looked at. */
const MOST_FILES = 100;

/**
 * @param {LaunchParams} params
 * @param {string} origin of this site
 * @returns {{ fragment: string, files: readonly { getFile(): Promise<File> }[] }} fragment: the view that is asked for, "" for the one
 *   that is open
 */
export function readLaunch({ targetURL, files = [] }, origin) {
  const url = targetURL && URL.canParse(targetURL) ? new URL(targetURL) : undefined;
  const fragment = url?.origin === origin && url.pathname === "/" && url.hash.startsWith("#/") ? url.hash : "";
  return { fragment, files: files.slice(0, MOST_FILES) };
}

/**
 * @param {object} actions
 * @param {(files: File[]) => void} actions.openFiles pictures that somebody opened with the app
 * @param {{ launchQueue?: LaunchQueue, location: Pick<Location, "origin"|"hash"> }} [scope]
 */
export function takeLaunches({ openFiles }, { launchQueue, location } = globalThis) {
  launchQueue?.setConsumer((params) => {
    const { fragment, files } = readLaunch(params, location.origin);
    if (fragment !== "" && fragment !== location.hash) location.hash = fragment;
    if (files.length > 0) void Promise.all(files.map((file) => file.getFile())).then(openFiles, () => {});
  });
}
