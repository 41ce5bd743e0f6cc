/**
 * The manifest of a packaged model, schema 1: what kleinbild/package/manifest.py writes and the worker reads.
 * The manifest is treated as hostile input: nothing downstream checks a type, a bound, an index or an offset
 * again. Readers and typedefs are held equal by the type checker; FIELDS lets a test hold them equal to the
 * Python classes.
 */

import { checkConfig, checkTensors } from "./manifest_checks.js";
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
 * @property {string} path relative to the site's root
 * @property {string} sha256
 * @property {number} bytes
 *
 * @typedef {FileRef} Shard at most SHARD_BYTES
 *
 * @typedef {"text_encoder"|"embedding"|"transformer"|"vae_decoder"} StageName
 * @typedef {object} Stage
 * @property {StageName} name
 * @property {number[]} shards indices into Manifest.shards, in order of use
 *
 * @typedef {object} TensorPart the rows [row_start, row_start + row_count) of a tensor
 * @property {number} shard index into Manifest.shards
 * @property {number} row_start
 * @property {number} row_count
 * @property {number} offset in bytes, a multiple of 256
 * @property {number} length in bytes
 *
 * @typedef {"linear"|"vector"|"conv"|"embedding"} TensorKind
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
 * @property {1} schema
 * @property {string} id
 * @property {string} name
 * @property {string} revision
 * @property {string} notice what the page tells the user about this model, "" when nothing
 * @property {TensorFormat} weights
 * @property {ModelConfig} config
 * @property {FileRef} tokenizer
 * @property {Stage[]} stages
 * @property {Tensor[]} tensors
 * @property {Shard[]} shards
 */

export const SHARD_BYTES = 64 * 1024 * 1024;
const MAX_DIMENSION = 1 << 24;
const MAX_LAYERS = 1024;
const MAX_TENSORS = 20000;
const MAX_SHARDS = 4096;
const ALIGNMENT_BYTES = 256;
const MAX_FLOAT32 = 2 ** 128 - 2 ** 104;
const SHA256 = /^[0-9a-f]{64}$/;

const dimension = integer(1, MAX_DIMENSION);
const layers = integer(1, MAX_LAYERS);
const epsilon = positive(1);
const theta = positive(1e12);
const imageSide = integer(16, 2048);
const index = integer(0, MAX_SHARDS - 1);
const stageName = oneOf(/** @type {const} */ (["text_encoder", "embedding", "transformer", "vae_decoder"]));
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
  path: matching(/^w\/[0-9a-f]{64}\.json$/, "a path w/<sha256>.json"),
  sha256,
  bytes: integer(1, SHARD_BYTES),
};

/** @type {FieldReaders<Shard>} */
const SHARD = {
  path: matching(/^w\/[0-9a-f]{64}\.bin$/, "a path w/<sha256>.bin"),
  sha256,
  bytes: integer(ALIGNMENT_BYTES, SHARD_BYTES),
};

/** @type {FieldReaders<Stage>} */
const STAGE = { name: stageName, shards: list(index, 1, MAX_SHARDS) };

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
  kind: oneOf(/** @type {const} */ (["linear", "vector", "conv", "embedding"])),
  shape: list(dimension, 1, 4),
  format,
  block_size: integer(0, 256),
  zero_points: boolean,
  parts: list(record(PART), 1, MAX_SHARDS),
};

/** @type {FieldReaders<Manifest>} */
const MANIFEST = {
  schema: oneOf(/** @type {const} */ ([1])),
  id: matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "a model id"),
  name: string(200),
  revision: string(200),
  notice: string(2000),
  weights: format,
  config: record(CONFIG),
  tokenizer: record(FILE),
  stages: list(record(STAGE), 4, 4),
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
  const manifest = readManifest(json, "manifest");
  checkConfig(manifest.config);
  checkFile(manifest.tokenizer, "manifest.tokenizer");
  manifest.shards.forEach((shard, i) => checkFile(shard, `manifest.shards[${i}]`));
  checkShards(manifest);
  checkTensors(manifest);
  return manifest;
}

/** @param {Manifest} manifest @returns {FileRef[]} Every file that must be on the device before a picture. */
export function requiredFiles(manifest) {
  const bySha256 = new Map(manifest.shards.map((shard) => [shard.sha256, shard]));
  return [manifest.tokenizer, ...bySha256.values()];
}

/** @param {FileRef} file @param {string} where */
function checkFile(file, where) {
  if (file.path.slice(2, 66) !== file.sha256) refuse(`${where}.path`, "does not carry the file's sha256");
}

/** @param {Manifest} manifest */
function checkShards({ shards, stages }) {
  /** @type {Map<string, number>} */
  const sizes = new Map();
  shards.forEach(({ sha256: digest, bytes }, i) => {
    const where = `manifest.shards[${i}]`;
    if (bytes % ALIGNMENT_BYTES !== 0) refuse(`${where}.bytes`, `not a multiple of ${ALIGNMENT_BYTES}`);
    if ((sizes.get(digest) ?? bytes) !== bytes) refuse(`${where}.bytes`, "two sizes for one sha256");
    sizes.set(digest, bytes);
  });
  const used = new Set();
  const names = new Set();
  stages.forEach((stage, i) => {
    const where = `manifest.stages[${i}]`;
    if (names.has(stage.name)) refuse(`${where}.name`, `a second stage ${stage.name}`);
    names.add(stage.name);
    if (new Set(stage.shards).size !== stage.shards.length) refuse(`${where}.shards`, "a shard is listed twice");
    stage.shards.forEach((shard, j) => {
      if (shard >= shards.length) refuse(`${where}.shards[${j}]`, `there are only ${shards.length} shards`);
      used.add(shard);
    });
  });
  const unused = shards.findIndex((_, i) => !used.has(i));
  if (unused >= 0) refuse(`manifest.shards[${unused}]`, "belongs to no stage");
}
