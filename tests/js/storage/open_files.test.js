import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenFiles } from "../../../src_js/storage/open_files.js";

/** Files whose only byte is the length of their name; `log` tells what was opened and closed. */
function setUp(most = 3) {
  /** @type {string[]} */
  const log = [];
  const broken = new Set();
  const files = new OpenFiles(async (name) => {
    if (broken.has(name)) throw new Error(`no ${name}`);
    log.push(`open ${name}`);
    let closed = false;
    return {
      read(target) {
        assert.equal(closed, false, `${name} is read after it was closed`);
        target[0] = name.length;
        return 1;
      },
      close() {
        closed = true;
        log.push(`close ${name}`);
      },
    };
  }, most);
  const read = (/** @type {string} */ name) => files.use(name, (file) => file.read(new Uint8Array(1), 0));
  return { files, log, broken, read };
}

test("a file is opened once and stays open", async () => {
  const { files, log, read } = setUp();
  files.ahead("a");
  assert.equal(await read("a"), 1);
  await read("a");
  assert.deepEqual(log, ["open a"]);
  await files.close();
  assert.deepEqual(log, ["open a", "close a"]);
});

test("of too many the one used longest ago is closed", async () => {
  const { log, read } = setUp();
  for (const name of ["a", "b", "c", "a", "d", "e"]) await read(name);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(log.filter((entry) => entry.startsWith("close")), ["close b", "close c"]);
  await read("b");
  assert.equal(log.filter((entry) => entry === "open b").length, 2);
});

test("none is closed under a read, however many are opened at once", async () => {
  const { files, read } = setUp();
  const names = Array.from({ length: 20 }, (_, i) => `file ${i}`);
  const reads = names.map(read);
  for (const name of names) files.ahead(`${name} ahead`);
  assert.equal((await Promise.all(reads)).length, names.length);
});

test("what could not be opened is told by its use, and opened again by the next", async () => {
  const { files, log, broken, read } = setUp();
  broken.add("a");
  files.ahead("a");
  await assert.rejects(read("a"), /no a/);
  broken.clear();
  await read("a");
  assert.deepEqual(log, ["open a"]);
});
