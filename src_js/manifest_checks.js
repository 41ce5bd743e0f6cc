/**
 * What the fields of a manifest must be to each other: the model's numbers among themselves, and every tensor
 * part against its shard and its byte layout (tensor_layout.js).
 */

import { refuse } from "./reader.js";
import { ALIGNMENT_BYTES, partLayout, storedMatrix } from "./tensor_layout.js";

/**
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {import("./manifest.js").ModelConfig} ModelConfig
 * @typedef {import("./manifest.js").Tensor} Tensor
 */

export const MODULATION_TABLE = "modulation_table";
/** Hidden-size vectors in a row of the table: two streams of two sublayers, the single blocks, the last norm (pipeline/transformer.js). */
const TABLE_VECTORS = 6 + 6 + 3 + 2;
const Q4_BLOCK_SIZES = [16, 32, 64, 128];

/** @type {Record<Tensor["kind"], { rank: number, formats: Tensor["format"][], split: boolean }>} */
const KINDS = {
  vector: { rank: 1, formats: ["f32"], split: false },
  linear: { rank: 2, formats: ["f32", "f16", "q4"], split: true },
  conv: { rank: 4, formats: ["f32", "f16"], split: false },
  embedding: { rank: 2, formats: ["f32", "f16"], split: true },
  table: { rank: 2, formats: ["f32"], split: true },
};

/** @param {ModelConfig} config */
export function checkConfig(config) {
  const { text_encoder: text, transformer, vae_decoder: vae } = config;
  const where = "manifest.config";
  /** @param {boolean} holds @param {string} field @param {string} rule */
  const check = (holds, field, rule) => void (holds || refuse(`${where}.${field}`, rule));
  check(Math.max(...text.tapped_layers) === text.num_layers, "text_encoder.num_layers", "not the last tapped layer");
  check(text.num_attention_heads % text.num_key_value_heads === 0, "text_encoder.num_key_value_heads",
    "does not divide num_attention_heads");
  check(text.head_dim % 2 === 0, "text_encoder.head_dim", "odd");
  check(transformer.joint_attention_dim === text.tapped_layers.length * text.hidden_size,
    "transformer.joint_attention_dim", "not the text encoder's hidden_size times its tapped layers");
  check(transformer.num_attention_heads * transformer.attention_head_dim === transformer.hidden_size,
    "transformer.hidden_size", "not num_attention_heads x attention_head_dim");
  check(transformer.axes_dims_rope.every((axis) => axis % 2 === 0), "transformer.axes_dims_rope", "odd");
  check(transformer.axes_dims_rope.reduce((a, b) => a + b, 0) === transformer.attention_head_dim,
    "transformer.axes_dims_rope", "does not sum to attention_head_dim");
  check(transformer.timestep_channels % 2 === 0, "transformer.timestep_channels", "odd");
  check(transformer.in_channels === vae.latent_channels * vae.patch_size ** 2, "transformer.in_channels",
    "not latent_channels x patch_size^2");
  check(transformer.out_channels === transformer.in_channels, "transformer.out_channels", "not in_channels");
  check(vae.out_channels === 3, "vae_decoder.out_channels", "not 3 (red, green, blue)");
  check(vae.block_out_channels.every((channels) => channels % vae.norm_num_groups === 0),
    "vae_decoder.norm_num_groups", "does not divide every one of block_out_channels");
  check(config.default_width % 16 === 0, "default_width", "not a multiple of 16");
  check(config.default_height % 16 === 0, "default_height", "not a multiple of 16");
}

/** @param {Manifest} manifest */
export function checkTensors(manifest) {
  const stageShards = new Map(manifest.stages.map((stage) => [stage.name, new Set(stage.shards)]));
  const names = new Set();
  manifest.tensors.forEach((tensor, i) => {
    const where = `manifest.tensors[${i}]`;
    if (names.has(tensor.name)) refuse(`${where}.name`, `a second tensor ${tensor.name}`);
    names.add(tensor.name);
    checkTensor(tensor, where);
    tensor.parts.forEach((part, j) => {
      if (!stageShards.get(tensor.stage)?.has(part.shard)) {
        refuse(`${where}.parts[${j}].shard`, `shard ${part.shard} is not of stage ${tensor.stage}`);
      }
      const bytes = manifest.shards[part.shard]?.bytes ?? 0;
      if (part.offset + part.length > bytes) {
        refuse(`${where}.parts[${j}].length`, `reaches past the end of shard ${part.shard} (${bytes} bytes)`);
      }
    });
  });
}

/** The table of modulations and its sigmas. @param {Manifest} manifest whose tensors are checked */
export function checkTable({ config, tensors, table_sigmas: sigmas }) {
  sigmas.forEach((sigma, i) => {
    const where = `manifest.table_sigmas[${i}]`;
    if (Math.fround(sigma) !== sigma) refuse(where, `${sigma} is no float32`);
    if (i > 0 && sigma >= /** @type {number} */ (sigmas[i - 1])) refuse(where, "does not descend");
  });
  const table = tensors.findIndex(({ kind }) => kind === "table");
  if (table < 0 && sigmas.length > 0) refuse("manifest.table_sigmas", `there is no tensor ${MODULATION_TABLE}`);
  tensors.forEach(({ kind, name, stage, shape, parts }, i) => {
    const where = `manifest.tensors[${i}]`;
    if ((kind === "table") !== (name === MODULATION_TABLE)) refuse(`${where}.kind`, `a table, and nothing else, is named ${MODULATION_TABLE}`);
    if (i !== table && table >= 0) {
      const own = parts.findIndex(({ shard }) => tensors[table]?.parts.some((part) => part.shard === shard));
      if (own >= 0) refuse(`${where}.parts[${own}].shard`, `lies in a shard of ${MODULATION_TABLE}, which holds nothing else`);
    }
    if (kind !== "table") return;
    if (stage !== "transformer") refuse(`${where}.stage`, "a table belongs to the stage transformer");
    const columns = TABLE_VECTORS * config.transformer.hidden_size;
    if (shape[0] !== sigmas.length || shape[1] !== columns) refuse(`${where}.shape`, `expected [${sigmas.length}, ${columns}]`);
  });
}

/** @param {Tensor} tensor @param {string} where */
function checkTensor(tensor, where) {
  const kind = KINDS[tensor.kind];
  if (tensor.shape.length !== kind.rank) refuse(`${where}.shape`, `a ${tensor.kind} has rank ${kind.rank}`);
  if (!kind.formats.includes(tensor.format)) refuse(`${where}.format`, `a ${tensor.kind} is never ${tensor.format}`);
  if ((tensor.kind === "embedding") !== (tensor.stage === "embedding")) {
    refuse(`${where}.stage`, "embeddings, and nothing else, belong to the stage embedding");
  }
  const quantised = tensor.format === "q4";
  if (quantised ? !Q4_BLOCK_SIZES.includes(tensor.block_size) : tensor.block_size !== 0) {
    refuse(`${where}.block_size`, `${tensor.block_size} does not go with format ${tensor.format}`);
  }
  if (tensor.zero_points && !quantised) refuse(`${where}.zero_points`, "only q4 has zero points");
  if (!kind.split && tensor.parts.length !== 1) refuse(`${where}.parts`, `a ${tensor.kind} has one part`);

  const { rows, columns } = storedMatrix(tensor);
  if (!Number.isSafeInteger(rows * columns * 4)) refuse(`${where}.shape`, "too large");
  let next = 0;
  tensor.parts.forEach((part, j) => {
    const at = `${where}.parts[${j}]`;
    if (part.row_start !== next) refuse(`${at}.row_start`, `expected ${next}, found ${part.row_start}`);
    next += part.row_count;
    if (part.offset % ALIGNMENT_BYTES !== 0) refuse(`${at}.offset`, `not a multiple of ${ALIGNMENT_BYTES}`);
    const { bytes } = partLayout(tensor, part.row_count);
    if (part.length !== bytes) refuse(`${at}.length`, `expected ${bytes} bytes, found ${part.length}`);
  });
  if (next !== rows) refuse(`${where}.parts`, `cover ${next} of ${rows} rows`);
}
