import assert from "node:assert/strict";
import { test } from "node:test";
import { checkScriptUrl } from "../../../src_js/app/trusted_types.js";

test("only this site's scripts become script addresses", () => {
  const origin = "http://localhost:8080";
  assert.equal(checkScriptUrl("/sw.js", origin), `${origin}/sw.js`);
  const worker = `${origin}/v/0123456789ab/src_js/worker/main.js`;
  assert.equal(checkScriptUrl(worker, origin), worker);
  for (const url of ["https://example.org/sw.js", "data:text/javascript,1", "/w/abc.bin", "/v/x/src_js/../../evil.js",
    "//example.org/sw.js", "/models/x.json"]) {
    assert.throws(() => checkScriptUrl(url, origin), TypeError, url);
  }
});
