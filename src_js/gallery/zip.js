/**
 * A ZIP archive of files that are kept as they are: PNG is compressed already. The archive is a Blob of the files themselves with the
 * format's records between them, so that gigabytes take no memory: the browser reads each file when it writes the download. Past 4 GiB
 * or 65 534 files the records are those of ZIP64, which every present-day program reads.
 */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const VERSION = 20;
const VERSION_64 = 45;
const UTF_8_NAMES = 0x0800;
const MOST_32 = 0xffffffff;
const MOST_16 = 0xffff;
/** Field of a central record that holds what does not fit 32 bits. */
const EXTRA_64 = 0x0001;

/**
 * @typedef {object} ZipFile
 * @property {string} name within the archive
 * @property {Blob} file
 * @property {number} crc CRC-32 of the file
 * @property {number} time milliseconds since 1970
 */

/**
 * @param {readonly ZipFile[]} files each smaller than 4 GiB
 * @param {number} [most] that the short records may count; tests take less
 * @returns {Blob}
 */
export function zip(files, most = MOST_32) {
  /** @type {BlobPart[]} */
  const parts = [];
  const central = [];
  let at = 0;
  for (const one of files) {
    const name = new TextEncoder().encode(one.name);
    const about = facts(one, name);
    parts.push(record([[4, LOCAL], [2, VERSION], ...about, [2, 0]], name), one.file);
    central.push(centralRecord(about, name, at, most));
    at += 30 + name.length + one.file.size;
  }
  const bytes = central.reduce((sum, { length }) => sum + length, 0);
  return new Blob([...parts, ...central, end(files.length, bytes, at, most)], { type: "application/zip" });
}

/** A field: its bytes, 2, 4 or 8, and its value. @typedef {[2 | 4 | 8, number]} Field */

/** What both records tell of a file. @param {ZipFile} one @param {Uint8Array} name @returns {Field[]} */
function facts({ file, crc, time }, name) {
  const { clock, day } = dosTime(new Date(time));
  return [[2, UTF_8_NAMES], [2, 0], [2, clock], [2, day], [4, crc], [4, file.size], [4, file.size], [2, name.length]];
}

/** @param {Field[]} about @param {Uint8Array<ArrayBuffer>} name @param {number} at where the file's record begins @param {number} most */
function centralRecord(about, name, at, most) {
  const far = at >= most;
  /** @type {Field[]} */
  const extra = far ? [[2, EXTRA_64], [2, 8], [8, at]] : [];
  const version = far ? VERSION_64 : VERSION;
  return record([
    [4, CENTRAL], [2, version], [2, version], ...about, [2, far ? 12 : 0], [2, 0], [2, 0], [2, 0], [4, 0], [4, far ? MOST_32 : at],
  ], name, extra);
}

/** @param {number} count @param {number} bytes of the central records @param {number} at where they begin @param {number} most */
function end(count, bytes, at, most) {
  const large = count >= Math.min(most, MOST_16) || at + bytes >= most;
  /** @type {Field[]} */
  const long = large ? [
    [4, END_64], [8, 44], [2, VERSION_64], [2, VERSION_64], [4, 0], [4, 0], [8, count], [8, count], [8, bytes], [8, at],
    [4, LOCATOR_64], [4, 0], [8, at + bytes], [4, 1],
  ] : [];
  const [short, wide] = large ? [MOST_16, MOST_32] : [count, 0];
  return record([...long, [4, END], [2, 0], [2, 0], [2, short], [2, short], [4, wide || bytes], [4, wide || at], [2, 0]]);
}

/**
 * @param {Field[]} fields little endian
 * @param {Uint8Array<ArrayBuffer>} [name] behind them
 * @param {Field[]} [extra] behind the name
 * @returns {Uint8Array<ArrayBuffer>}
 */
function record(fields, name = new Uint8Array(), extra = []) {
  const length = (/** @type {Field[]} */ some) => some.reduce((sum, [bytes]) => sum + bytes, 0);
  const whole = new Uint8Array(length(fields) + name.length + length(extra));
  const view = new DataView(whole.buffer);
  let at = 0;
  const put = (/** @type {Field} */ [bytes, value]) => {
    if (bytes === 2) view.setUint16(at, value, true);
    else if (bytes === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += bytes;
  };
  fields.forEach(put);
  whole.set(name, at);
  at += name.length;
  extra.forEach(put);
  return whole;
}

/** @param {Date} date @returns {{ clock: number, day: number }} local time in steps of two seconds, from 1980 to 2107 */
function dosTime(date) {
  const year = Math.min(127, Math.max(0, date.getFullYear() - 1980));
  return {
    clock: (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1),
    day: (year << 9) | ((date.getMonth() + 1) << 5) | date.getDate(),
  };
}
