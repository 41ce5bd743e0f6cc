/**
 * The manifest of a packaged model, schema 4: what kleinbild/package/manifest.py writes and the worker reads.
 * The manifest is treated as hostile input: nothing downstream checks a type, a bound, an index or an offset
 * again. Readers and typedefs are held equal by the type checker; FIELDS lets a test hold them equal to the
 * Python classes.
 */

import { KleinbildError } from "./errors.js";
import { checkConfig, checkTable, checkTensors } from "./manifest_checks.js";
import { notice } from "./model_index.js";
import { boolean, integer, list, matching, notNegative, oneOf, positive, record, refuse, string } from "./reader.js";

/** @template T @typedef {import("./reader.js").FieldReaders<T>} FieldReaders */

/**
 * @typedef {object} TextEncoderConfig
 * @property {number} vocab_size
 * @property {number} hidden_size
 * @property {number} intermediate_size
 * @property {number} num_layers layers to run, the largest of tapped_layers
 * @property {number} num_attention_heads
 * @property {number} num_key_value_heads
 * @property {number} head_dim
 * @property {number} rms_norm_eps
 * @property {number} rope_theta
 * @property {number[]} tapped_layers the residual stream is tapped after this many layers
 *
 * @typedef {object} TransformerConfig
 * @property {number} in_channels
 * @property {number} out_channels
 * @property {number} hidden_size
 * @property {number} num_layers double stream blocks
 * @property {number} num_single_layers single stream blocks
 * @property {number} num_attention_heads
 * @property {number} attention_head_dim
 * @property {number} joint_attention_dim
 * @property {number} mlp_hidden_size
 * @property {number} timestep_channels
 * @property {number[]} axes_dims_rope
 * @property {number} rope_theta
 * @property {number} eps
 *
 * @typedef {object} VaeDecoderConfig
 * @property {number} latent_channels
 * @property {number} out_channels
 * @property {number[]} block_out_channels
 * @property {number} layers_per_block
 * @property {number} norm_num_groups
 * @property {number} norm_eps
 * @property {number} patch_size
 * @property {number} batch_norm_eps
 *
 * @typedef {object} SchedulerConfig
 * @property {number} num_train_timesteps
 *
 * @typedef {object} PromptConfig
 * @property {number} text_seq_len
 * @property {string} template_prefix
 * @property {string} template_suffix
 * @property {number} context_clip largest magnitude of prompt embeddings, 0: any
 *
 * @typedef {object} ModelConfig
 * @property {TextEncoderConfig} text_encoder
 * @property {TransformerConfig} transformer
 * @property {VaeDecoderConfig} vae_decoder
 * @property {SchedulerConfig} scheduler
 * @property {PromptConfig} prompt
 * @property {number} default_width
 * @property {number} default_height
 * @property {number} default_steps
 *
 * @typedef {object} FileRef
 * @property {string} path relative to the site's root; ends in .gz when the file there is one gzip member
 * @property {string} sha256 of the plain bytes
 * @property {number} bytes plain
 * @property {""|"gzip"} encoding of the file on the server
 * @property {number} transfer_bytes of the file on the server
 *
 * @typedef {FileRef} Shard at most SHARD_BYTES
 *
 * @typedef {"text_encoder"|"embedding"|"transformer"|"modulation"|"vae_decoder"} StageName
 * @typedef {object} Stage
 * @property {StageName} name
 * @property {"start"|"needed"} load before the first picture, or when a picture needs it
 * @property {number[]} shards indices into Manifest.shards, in order of use
 *
 * @typedef {object} TensorPart the rows [row_start, row_start + row_count) of a tensor
 * @property {number} shard index into Manifest.shards
 * @property {number} row_start
 * @property {number} row_count
 * @property {number} offset in bytes, a multiple of 256
 * @property {number} length in bytes
 *
 * @typedef {"linear"|"vector"|"conv"|"embedding"|"table"} TensorKind
 * @typedef {"f32"|"f16"|"q4"} TensorFormat
 * @typedef {object} Tensor
 * @property {string} name
 * @property {StageName} stage
 * @property {TensorKind} kind
 * @property {number[]} shape canonical, e.g. [N, K] of a linear, [O, I, kh, kw] of a convolution
 * @property {TensorFormat} format
 * @property {number} block_size 0 unless q4
 * @property {boolean} zero_points
 * @property {TensorPart[]} parts in order of rows, covering all of them
 *
 * @typedef {object} Manifest
 * @property {4} schema
 * @property {string} id
 * @property {string} name
 * @property {string} revision
 * @property {Record<string, string>} notice what the page tells the user about this model, by language; {} when nothing
 * @property {string[]} examples prompts that suit the model, or none
 * @property {number[][]} sizes [width, height] in pixels that suit the model, or none
 * @property {TensorFormat} weights
 * @property {ModelConfig} config
 * @property {FileRef} tokenizer
 * @property {number[]} table_sigmas float32: row r of the tensor "modulation_table" belongs to the timestep of sigma r; descending
 * @property {Stage[]} stages
 * @property {Tensor[]} tensors
 * @property {Shard[]} shards
 */

const SCHEMA = 4;
export const SHARD_BYTES = 64 * 1024 * 1024;
const MAX_DIMENSION = 1 << 24;
const MAX_LAYERS = 1024;
const MAX_TENSORS = 20000;
const MAX_SHARDS = 8192;
const MAX_TABLE_ROWS = 256;
const ALIGNMENT_BYTES = 256;
const MAX_EXAMPLES = 24;
const MAX_EXAMPLE_CHARACTERS = 300;
const MAX_SIZES = 12;
const MAX_FLOAT32 = 2 ** 128 - 2 ** 104;
const SHA256 = /^[0-9a-f]{64}$/;

const dimension = integer(1, MAX_DIMENSION);
const layers = integer(1, MAX_LAYERS);
const epsilon = positive(1);
const theta = positive(1e12);
const imageSide = integer(16, 2048);
/** @type {import("./reader.js").Reader<number>} */
const suggestedSide = (value, where) => {
  const side = imageSide(value, where);
  return side % 16 === 0 ? side : refuse(where, `not a multiple of 16: ${side}`);
};
const index = integer(0, MAX_SHARDS - 1);
const STAGES = /** @type {const} */ (["text_encoder", "embedding", "transformer", "modulation", "vae_decoder"]);
/** Stages that a first picture can do without, or of which it needs a small part. */
const DEFERRABLE = new Set(["embedding", "modulation"]);
const stageName = oneOf(STAGES);
const encoding = oneOf(/** @type {const} */ (["", "gzip"]));
const format = oneOf(/** @type {const} */ (["f32", "f16", "q4"]));
const sha256 = matching(SHA256, "64 hexadecimal digits");

/** @type {FieldReaders<TextEncoderConfig>} */
const TEXT_ENCODER = {
  vocab_size: dimension,
  hidden_size: dimension,
  intermediate_size: dimension,
  num_layers: layers,
  num_attention_heads: dimension,
  num_key_value_heads: dimension,
  head_dim: dimension,
  rms_norm_eps: epsilon,
  rope_theta: theta,
  tapped_layers: list(layers, 1, 16),
};

/** @type {FieldReaders<TransformerConfig>} */
const TRANSFORMER = {
  in_channels: dimension,
  out_channels: dimension,
  hidden_size: dimension,
  num_layers: layers,
  num_single_layers: layers,
  num_attention_heads: dimension,
  attention_head_dim: dimension,
  joint_attention_dim: dimension,
  mlp_hidden_size: dimension,
  timestep_channels: dimension,
  axes_dims_rope: list(dimension, 4, 4),
  rope_theta: theta,
  eps: epsilon,
};

/** @type {FieldReaders<VaeDecoderConfig>} */
const VAE_DECODER = {
  latent_channels: dimension,
  out_channels: dimension,
  block_out_channels: list(dimension, 1, 8),
  layers_per_block: layers,
  norm_num_groups: dimension,
  norm_eps: epsilon,
  patch_size: integer(2, 2),
  batch_norm_eps: epsilon,
};

/** @type {FieldReaders<SchedulerConfig>} */
const SCHEDULER = { num_train_timesteps: dimension };

/** @type {FieldReaders<PromptConfig>} */
const PROMPT = {
  text_seq_len: integer(1, 4096),
  template_prefix: string(4096),
  template_suffix: string(4096),
  context_clip: notNegative(MAX_FLOAT32),
};

/** @type {FieldReaders<ModelConfig>} */
const CONFIG = {
  text_encoder: record(TEXT_ENCODER),
  transformer: record(TRANSFORMER),
  vae_decoder: record(VAE_DECODER),
  scheduler: record(SCHEDULER),
  prompt: record(PROMPT),
  default_width: imageSide,
  default_height: imageSide,
  default_steps: integer(1, 100),
};

/** @type {FieldReaders<FileRef>} */
const FILE = {
  path: matching(/^w\/[0-9a-f]{64}\.json(\.gz)?$/, "a path w/<sha256>.json or w/<sha256>.json.gz"),
  sha256,
  bytes: integer(1, SHARD_BYTES),
  encoding,
  transfer_bytes: integer(1, SHARD_BYTES),
};

/** @type {FieldReaders<Shard>} */
const SHARD = {
  path: matching(/^w\/[0-9a-f]{64}\.bin(\.gz)?$/, "a path w/<sha256>.bin or w/<sha256>.bin.gz"),
  sha256,
  bytes: integer(ALIGNMENT_BYTES, SHARD_BYTES),
  encoding,
  transfer_bytes: integer(1, SHARD_BYTES),
};

/** @type {FieldReaders<Stage>} */
const STAGE = {
  name: stageName,
  load: oneOf(/** @type {const} */ (["start", "needed"])),
  shards: list(index, 1, MAX_SHARDS),
};

/** @type {FieldReaders<TensorPart>} */
const PART = {
  shard: index,
  row_start: integer(0, MAX_DIMENSION),
  row_count: integer(1, MAX_DIMENSION),
  offset: integer(0, SHARD_BYTES),
  length: integer(1, SHARD_BYTES),
};

/** @type {FieldReaders<Tensor>} */
const TENSOR = {
  name: matching(/^[A-Za-z0-9_.]{1,200}$/, "a tensor name"),
  stage: stageName,
  kind: oneOf(/** @type {const} */ (["linear", "vector", "conv", "embedding", "table"])),
  shape: list(dimension, 1, 4),
  format,
  block_size: integer(0, 256),
  zero_points: boolean,
  parts: list(record(PART), 1, MAX_SHARDS),
};

/** @type {FieldReaders<Manifest>} */
const MANIFEST = {
  schema: oneOf(/** @type {const} */ ([SCHEMA])),
  id: matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "a model id"),
  name: string(200),
  revision: string(200),
  notice,
  examples: list(string(MAX_EXAMPLE_CHARACTERS), 0, MAX_EXAMPLES),
  sizes: list(list(suggestedSide, 2, 2), 0, MAX_SIZES),
  weights: format,
  config: record(CONFIG),
  tokenizer: record(FILE),
  table_sigmas: list(positive(1), 0, MAX_TABLE_ROWS),
  stages: list(record(STAGE), STAGES.length, STAGES.length),
  tensors: list(record(TENSOR), 1, MAX_TENSORS),
  shards: list(record(SHARD), 1, MAX_SHARDS),
};

/** Field names by the name of the Python dataclass that writes them. */
export const FIELDS = {
  TextEncoderConfig: Object.keys(TEXT_ENCODER),
  TransformerConfig: Object.keys(TRANSFORMER),
  VaeDecoderConfig: Object.keys(VAE_DECODER),
  SchedulerConfig: Object.keys(SCHEDULER),
  PromptConfig: Object.keys(PROMPT),
  ModelConfig: Object.keys(CONFIG),
  FileRef: Object.keys(FILE),
  Shard: Object.keys(SHARD),
  Stage: Object.keys(STAGE),
  TensorPart: Object.keys(PART),
  Tensor: Object.keys(TENSOR),
  Manifest: Object.keys(MANIFEST),
};

const readManifest = record(MANIFEST);

/**
 * The manifest in `json`, every field checked, alone and against the others.
 * @param {unknown} json as JSON.parse returned it
 * @returns {Manifest}
 * @throws {KleinbildError} "bad-manifest", naming the field
 */
export function parseManifest(json) {
  const { schema } = /** @type {{ schema?: unknown }} */ (json ?? {});
  if (typeof schema === "number" && schema > 0 && schema < SCHEMA) {
    throw new KleinbildError("bad-manifest", "This model was packaged by an earlier build: package the model again.");
  }
  const manifest = readManifest(json, "manifest");
  checkConfig(manifest.config);
  checkFile(manifest.tokenizer, "manifest.tokenizer");
  manifest.shards.forEach((shard, i) => checkFile(shard, `manifest.shards[${i}]`));
  checkShards(manifest);
  checkTensors(manifest);
  checkTable(manifest);
  return manifest;
}

/** @param {Manifest} manifest @returns {FileRef[]} every file that must be on the device before any picture, each once */
export function requiredFiles(manifest) {
  return [manifest.tokenizer, ...distinct(shardsToLoad(manifest, "start"))];
}

/** @param {Manifest} manifest @returns {Shard[]} the other files, which some pictures need, each once and in the order of their use */
export function laterFiles(manifest) {
  const required = new Set(requiredFiles(manifest).map(({ sha256: digest }) => digest));
  return distinct(shardsToLoad(manifest, "needed")).filter(({ sha256: digest }) => !required.has(digest));
}

/** @param {Manifest} manifest @param {StageName} name @returns {Shard[]} */
export function stageShards({ stages, shards }, name) {
  return stages.filter((stage) => stage.name === name).flatMap((stage) => stage.shards.map((i) => /** @type {Shard} */ (shards[i])));
}

/**
 * The shards of a stage that go onto the GPU: all but those of a table, which is read row by row.
 * @param {Manifest} manifest @param {StageName | string} name @returns {number[]} indices into Manifest.shards, in order of use
 */
export function weightShards({ stages, tensors }, name) {
  const tables = new Set(tensors.filter(({ kind }) => kind === "table").flatMap(({ parts }) => parts.map(({ shard }) => shard)));
  return (stages.find((stage) => stage.name === name)?.shards ?? []).filter((shard) => !tables.has(shard));
}

/** @param {Manifest} manifest @param {StageName | string} name @returns {Tensor[]} what lies in the stage's weightShards */
export function weightTensors({ tensors }, name) {
  return tensors.filter(({ stage, kind }) => stage === name && kind !== "table");
}

/** @param {Manifest} manifest @param {Stage["load"]} load @returns {Shard[]} */
function shardsToLoad(manifest, load) {
  return manifest.stages.filter((stage) => stage.load === load).flatMap(({ name }) => stageShards(manifest, name));
}

/** @param {readonly Shard[]} shards @returns {Shard[]} one of each content */
function distinct(shards) {
  return [...new Map(shards.map((shard) => [shard.sha256, shard])).values()];
}

/** @param {FileRef} file @param {string} where */
function checkFile(file, where) {
  if (file.path.slice(2, 66) !== file.sha256) refuse(`${where}.path`, "does not carry the file's sha256");
  if (file.path.endsWith(".gz") !== (file.encoding === "gzip")) refuse(`${where}.encoding`, `"${file.encoding}" does not go with ${file.path}`);
  if (file.encoding === "" && file.transfer_bytes !== file.bytes) refuse(`${where}.transfer_bytes`, `not the ${file.bytes} plain bytes`);
}

/** @param {Manifest} manifest */
function checkShards({ shards, stages }) {
  /** @type {Map<string, Shard>} */
  const known = new Map();
  shards.forEach((shard, i) => {
    const where = `manifest.shards[${i}]`;
    if (shard.bytes % ALIGNMENT_BYTES !== 0) refuse(`${where}.bytes`, `not a multiple of ${ALIGNMENT_BYTES}`);
    const same = known.get(shard.sha256) ?? shard;
    if (same.bytes !== shard.bytes) refuse(`${where}.bytes`, "two sizes for one sha256");
    if (same.path !== shard.path || same.transfer_bytes !== shard.transfer_bytes) refuse(`${where}.path`, "two files for one sha256");
    known.set(shard.sha256, shard);
  });
  const used = new Set();
  stages.forEach((stage, i) => {
    const where = `manifest.stages[${i}]`;
    if (stage.name !== STAGES[i]) refuse(`${where}.name`, `expected ${STAGES[i]}, found ${stage.name}`);
    if (stage.load === "needed" && !DEFERRABLE.has(stage.name)) refuse(`${where}.load`, "the first picture needs all of this stage");
    if (new Set(stage.shards).size !== stage.shards.length) refuse(`${where}.shards`, "a shard is listed twice");
    stage.shards.forEach((shard, j) => {
      if (shard >= shards.length) refuse(`${where}.shards[${j}]`, `there are only ${shards.length} shards`);
      used.add(shard);
    });
  });
  const unused = shards.findIndex((_, i) => !used.has(i));
  if (unused >= 0) refuse(`manifest.shards[${unused}]`, "belongs to no stage");
}
