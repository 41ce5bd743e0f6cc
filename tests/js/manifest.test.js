import assert from "node:assert/strict";
import { test } from "node:test";
import { FIELDS, laterFiles, parseManifest, requiredFiles, weightShards, weightTensors } from "../../src_js/manifest.js";
import { modulationColumns } from "../../src_js/pipeline/transformer.js";
import { partLayout } from "../../src_js/tensor_layout.js";
import { smallManifest } from "./support/manifest_fixture.js";

test("a valid manifest is read as it is", () => {
  assert.deepEqual(parseManifest(smallManifest()), smallManifest());
});

test("the result is a copy that holds known fields only", () => {
  const json = smallManifest();
  const manifest = parseManifest(json);
  json.tensors[0].parts[0].offset = 999;
  assert.equal(manifest.tensors[0]?.parts[0]?.offset, 0);
});

test("required are the tokenizer and what the first picture needs, the rest comes later, each file once", () => {
  const json = smallManifest();
  json.shards[2] = { ...json.shards[1] };
  const manifest = parseManifest(json);
  assert.deepEqual(requiredFiles(manifest).map((file) => file.bytes), [4000, 1280, 8704, 256, 512]);
  assert.deepEqual(laterFiles(manifest).map((file) => file.bytes), [1280, 4096]);
  json.shards[6] = { ...json.shards[3] };
  json.tensors[6] = { ...json.tensors[3], name: "other.weight", stage: "modulation", parts: [{ ...json.tensors[3].parts[0], shard: 6 }] };
  assert.deepEqual(laterFiles(parseManifest(json)).map((file) => file.bytes), [1280], "what is required does not come later");
  for (const stage of json.stages) stage.load = "start";
  assert.deepEqual(laterFiles(parseManifest(json)), []);
});

test("a table is no weight: its shard and its tensor stay off the GPU", () => {
  const manifest = parseManifest(smallManifest());
  assert.deepEqual([weightShards(manifest, "transformer"), weightShards(manifest, "modulation")], [[3], [6]]);
  assert.deepEqual(weightTensors(manifest, "transformer").map(({ name }) => name), ["x_embedder.weight"]);
});

test("a model without a table computes every modulation", () => {
  const json = smallManifest();
  json.tensors.splice(5, 1);
  json.stages[2].shards = [3, 5];
  json.table_sigmas = [];
  json.tensors[3].parts[0].shard = 5;
  assert.deepEqual(parseManifest(json), json);
});

test("a table's row is what the prelude computes", () => {
  const { config, tensors } = parseManifest(smallManifest());
  assert.equal(tensors[5]?.shape[1], modulationColumns(config.transformer));
});

test("a model of an earlier build is told apart from a damaged one", () => {
  assert.throws(() => parseManifest({ ...smallManifest(), schema: 1 }), { code: "bad-manifest", message: /earlier build: package the model again/ });
});

test("part sizes follow the layout", () => {
  const q4 = { kind: /** @type {const} */ ("linear"), shape: [7, 33], format: /** @type {const} */ ("q4"), block_size: 16 };
  // columns padded to 8, 48 k in 3 blocks: 192 bytes of codes, a row of scales of 16 bytes and one of zero points of 4 for each block
  assert.equal(partLayout({ ...q4, zero_points: false }, 7).bytes, 256 + 3 * 16);
  assert.equal(partLayout({ ...q4, zero_points: true }, 7).bytes, 256 + 256 + 3 * 4);
  assert.equal(partLayout({ ...q4, zero_points: true }, 9).bytes, 512 + 256 + 3 * 8);
  const conv = { kind: /** @type {const} */ ("conv"), shape: [2, 3, 1, 1], format: /** @type {const} */ ("f16") };
  assert.equal(partLayout({ ...conv, block_size: 0, zero_points: false }, 2).bytes, 2 * 8 * 2);
});

/** @type {[string, (manifest: any) => void, RegExp][]} */
const SPOILT = [
  ["another schema", (m) => (m.schema = 5), /manifest\.schema/],
  ["a missing field", (m) => delete m.revision, /manifest\.revision: missing/],
  ["an unknown field", (m) => (m.extra = 1), /manifest\.extra: unknown/],
  ["a __proto__ field", (m) => Object.defineProperty(m, "__proto__", { value: 1, enumerable: true }), /__proto__: unknown/],
  ["an id with a path", (m) => (m.id = "../x"), /manifest\.id/],
  ["a notice without end", (m) => (m.notice = { en: "x".repeat(5000) }), /manifest\.notice\.en/],
  ["a notice that is no object", (m) => (m.notice = "a fox"), /manifest\.notice: expected an object/],
  ["a notice in a language that is none", (m) => (m.notice = { en: "a", __proto__x: "b" }), /manifest\.notice: "__proto__x" is no language/],
  ["a notice without English", (m) => (m.notice = { de: "Fuchs" }), /manifest\.notice: not there in English/],
  ["a list for an object", (m) => (m.config = []), /manifest\.config: expected an object/],
  ["a layer count that would hang the page", (m) => (m.config.transformer.num_layers = 1e9), /transformer\.num_layers/],
  ["a fraction of a layer", (m) => (m.config.transformer.num_layers = 1.5), /transformer\.num_layers/],
  ["a number as text", (m) => (m.config.text_encoder.head_dim = "16"), /text_encoder\.head_dim/],
  ["a limit below zero", (m) => (m.config.prompt.context_clip = -1), /prompt\.context_clip/],
  ["a limit that is no float32", (m) => (m.config.prompt.context_clip = 1e39), /prompt\.context_clip/],
  ["no limit at all", (m) => delete m.config.prompt.context_clip, /prompt\.context_clip: missing/],
  ["an epsilon of zero", (m) => (m.config.vae_decoder.norm_eps = 0), /vae_decoder\.norm_eps/],
  ["layers past the last tap", (m) => (m.config.text_encoder.num_layers = 4), /text_encoder\.num_layers/],
  ["a prompt width that does not fit", (m) => (m.config.transformer.joint_attention_dim = 95), /joint_attention_dim/],
  ["rope axes that do not sum up", (m) => (m.config.transformer.axes_dims_rope = [4, 4, 4, 6]), /axes_dims_rope/],
  ["groups that do not divide", (m) => (m.config.vae_decoder.norm_num_groups = 3), /norm_num_groups/],
  ["a default size off the grid", (m) => (m.config.default_width = 250), /default_width/],
  ["a path out of w/", (m) => (m.shards[0].path = "w/../secret.bin"), /shards\[0\]\.path/],
  ["an absolute address", (m) => (m.shards[0].path = "https://example.org/x.bin"), /shards\[0\]\.path/],
  ["a path of another digest", (m) => (m.shards[0].sha256 = "f".repeat(64)), /shards\[0\]\.path/],
  ["a digest in capitals", (m) => (m.tokenizer.sha256 = "A".repeat(64)), /tokenizer\.sha256/],
  ["a shard above 64 MiB", (m) => (m.shards[0].bytes = 64 * 2 ** 20 + 256), /shards\[0\]\.bytes/],
  ["a shard of odd size", (m) => (m.shards[0].bytes = m.shards[0].transfer_bytes = 1000), /shards\[0\]\.bytes/],
  ["two sizes for one digest", (m) => (m.shards[2] = { ...m.shards[1], bytes: 768, transfer_bytes: 768 }), /shards\[2\]\.bytes: two sizes/],
  ["another encoding", (m) => (m.shards[3].encoding = "br"), /shards\[3\]\.encoding/],
  ["gzip under a plain name", (m) => (m.shards[0].encoding = "gzip"), /shards\[0\]\.encoding/],
  ["a plain file under a gzip name", (m) => (m.tokenizer.encoding = ""), /tokenizer\.encoding/],
  ["a plain file that is sent in other bytes", (m) => (m.shards[0].transfer_bytes = 1279), /shards\[0\]\.transfer_bytes/],
  ["a transfer of nothing", (m) => (m.shards[3].transfer_bytes = 0), /shards\[3\]\.transfer_bytes/],
  ["a transfer above 64 MiB", (m) => (m.shards[3].transfer_bytes = 2 ** 26 + 1), /shards\[3\]\.transfer_bytes/],
  ["two files for one digest", (m) => (m.shards[2] = { ...m.shards[1], path: `${m.shards[1].path}.gz`, encoding: "gzip", transfer_bytes: 9 }),
    /shards\[2\]\.path: two files/],
  ["a path out of w/ in gzip", (m) => (m.shards[3].path = "w/../secret.bin.gz"), /shards\[3\]\.path/],
  ["a stage of another name", (m) => (m.stages[3].name = "moderation"), /stages\[3\]\.name/],
  ["stages out of order", (m) => m.stages.reverse(), /stages\[0\]\.name: expected text_encoder/],
  ["a stage that is loaded at leisure", (m) => (m.stages[1].load = "later"), /stages\[1\]\.load/],
  ["a first picture without its transformer", (m) => (m.stages[2].load = "needed"), /stages\[2\]\.load/],
  ["a sigma above 1", (m) => (m.table_sigmas[0] = 1.5), /table_sigmas\[0\]/],
  ["a sigma of zero", (m) => (m.table_sigmas[1] = 0), /table_sigmas\[1\]/],
  ["a sigma that no float32 is", (m) => (m.table_sigmas[1] = 0.7), /table_sigmas\[1\]: 0\.7 is no float32/],
  ["sigmas that ascend", (m) => m.table_sigmas.reverse(), /table_sigmas\[1\]: does not descend/],
  ["a sigma twice", (m) => (m.table_sigmas[1] = 1), /table_sigmas\[1\]/],
  ["sigmas without end", (m) => (m.table_sigmas = Array.from({ length: 257 }, (_, i) => 1 - i / 512)), /manifest\.table_sigmas/],
  ["sigmas without a table", (m) => m.tensors.splice(5, 1), /table_sigmas/],
  ["a table without sigmas", (m) => (m.table_sigmas = []), /tensors\[5\]\.shape: expected \[0, 1088\]/],
  ["a table with a row more than sigmas", (m) => m.table_sigmas.pop(), /tensors\[5\]\.shape/],
  ["a table that is too narrow", (m) => Object.assign(m.tensors[5], { shape: [2, 1024], parts: [{ ...m.tensors[5].parts[0], length: 8192 }] }),
    /tensors\[5\]\.shape/],
  ["a table in f16", (m) => (m.tensors[5].format = "f16"), /tensors\[5\]\.format/],
  ["a table of another name", (m) => (m.tensors[5].name = "another_table"), /tensors\[5\]\.kind/],
  ["a weight of the table's name", (m) => {
    m.tensors.splice(5, 1);
    m.table_sigmas = [];
    m.tensors[3].name = "modulation_table";
  }, /tensors\[3\]\.kind/],
  ["a table in another stage", (m) => {
    m.stages[2].shards = [3];
    m.stages[3].shards = [6, 5];
    m.tensors[5].stage = "modulation";
  }, /tensors\[5\]\.stage/],
  ["a weight in the table's shard", (m) => (m.tensors[3].parts[0].shard = 5), /tensors\[3\]\.parts\[0\]\.shard: lies in a shard of/],
  ["a stage twice", (m) => (m.stages[1].name = "text_encoder"), /stages\[1\]\.name/],
  ["a stage too few", (m) => m.stages.pop(), /manifest\.stages/],
  ["a shard that is not there", (m) => (m.stages[0].shards = [9]), /stages\[0\]\.shards\[0\]/],
  ["a shard of no stage", (m) => (m.stages[1].shards = [1]), /shards\[2\]: belongs to no stage/],
  ["a tensor twice", (m) => (m.tensors[1].name = m.tensors[0].name), /tensors\[1\]\.name/],
  ["a name with a slash", (m) => (m.tensors[0].name = "a/b"), /tensors\[0\]\.name/],
  ["a vector in f16", (m) => (m.tensors[1].format = "f16"), /tensors\[1\]\.format/],
  ["a rank that does not fit", (m) => (m.tensors[0].shape = [10, 4, 10]), /tensors\[0\]\.shape/],
  ["a block size of nothing", (m) => (m.tensors[0].block_size = 0), /tensors\[0\]\.block_size/],
  ["a block size on a dense tensor", (m) => (m.tensors[3].block_size = 16), /tensors\[3\]\.block_size/],
  ["zero points on a dense tensor", (m) => (m.tensors[3].zero_points = true), /tensors\[3\]\.zero_points/],
  ["an embedding among the stages", (m) => (m.tensors[2].stage = "text_encoder"), /tensors\[2\]\.stage/],
  ["a part in another stage's shard", (m) => (m.tensors[0].parts[0].shard = 3), /parts\[0\]\.shard/],
  ["an offset off the grid", (m) => (m.tensors[1].parts[0].offset = 700), /parts\[0\]\.offset/],
  ["a negative offset", (m) => (m.tensors[1].parts[0].offset = -256), /parts\[0\]\.offset/],
  ["a part past the shard's end", (m) => (m.tensors[1].parts[0].offset = 1280), /past the end/],
  ["a length that is not its rows'", (m) => (m.tensors[0].parts[0].length = 791), /tensors\[0\]\.parts\[0\]\.length/],
  ["a gap between parts", (m) => (m.tensors[2].parts[1].row_start = 201), /parts\[1\]\.row_start/],
  ["rows that are missing", (m) => m.tensors[2].parts.pop(), /cover 200 of 300 rows/],
  ["a vector in two parts", (m) => m.tensors[1].parts.push(m.tensors[1].parts[0]), /tensors\[1\]\.parts/],
];

for (const [name, spoil, message] of SPOILT) {
  test(`refuses ${name}`, () => {
    const json = smallManifest();
    spoil(json);
    assert.throws(() => parseManifest(json), { name: "KleinbildError", code: "bad-manifest", message });
  });
}

for (const json of [null, 3, "x", [], undefined]) {
  test(`refuses ${JSON.stringify(json)}`, () => {
    assert.throws(() => parseManifest(json), { code: "bad-manifest" });
  });
}

test("field lists are those of the fixture", () => {
  const json = smallManifest();
  assert.deepEqual(Object.keys(json).sort(), [...FIELDS.Manifest].sort());
  assert.deepEqual(Object.keys(json.tensors[0]).sort(), [...FIELDS.Tensor].sort());
});
