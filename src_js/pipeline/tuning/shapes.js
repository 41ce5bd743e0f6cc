/**
 * Which shapes stand for a model's work when kernels are compared and timed: for each stage and each way in which weights are stored
 * the ones that take the most arithmetic. Counting only; jobs.js makes work of them.
 */

/**
 * @typedef {import("../../manifest.js").Manifest} Manifest
 * @typedef {import("../../manifest.js").Tensor} TensorEntry
 */

/**
 * @typedef {object} LinearShape
 * @property {TensorEntry} entry one of the weights of this shape
 * @property {number} rows of the activations
 * @property {number} share times that a picture does this
 */

/**
 * @typedef {object} ConvShape
 * @property {TensorEntry} entry
 * @property {number} width of the input map, pixels
 * @property {number} height
 * @property {boolean} upsample whether the map is doubled on the way
 * @property {number} share
 */

/**
 * @typedef {object} AttentionShape
 * @property {number} queries
 * @property {number} keys
 * @property {number} heads
 * @property {number} kvHeads
 * @property {number} headDim
 * @property {boolean} causal
 * @property {number} share
 */

/** Linears inside the repeated layers: the others run once and in f32. */
const LAYER_LINEAR = /^(model\.layers|transformer_blocks|single_transformer_blocks)\.\d+\./;
/** Of each way of storing, and of each convolution kernel, so many shapes. */
const SHAPES_EACH = 2;

/** @param {Manifest} manifest @returns {{text: number, picture: number, steps: number}} rows of a picture of the default size */
function rowsOf({ config }) {
  const side = config.vae_decoder.patch_size * 2 ** (config.vae_decoder.block_out_channels.length - 1);
  const picture = Math.max(1, Math.floor(config.default_width / side) * Math.floor(config.default_height / side));
  return { text: config.prompt.text_seq_len, picture, steps: config.default_steps };
}

/**
 * @template {{share: number}} S
 * @param {Iterable<{key: string, group: string, cost: number, shape: S}>} uses cost: of one use
 * @returns {S[]} the costliest shapes of each group, the costliest first; uses of one key are one shape
 */
function standFor(uses) {
  /** @type {Map<string, {group: string, cost: number, shape: S}>} */
  const shapes = new Map();
  for (const { key, group, cost, shape } of uses) {
    const found = shapes.get(key) ?? { group, cost: 0, shape: { ...shape, share: 0 } };
    found.cost += cost * shape.share;
    found.shape.share += shape.share;
    shapes.set(key, found);
  }
  /** @type {Map<string, number>} */
  const taken = new Map();
  const sorted = [...shapes.values()].sort((a, b) => b.cost - a.cost);
  return sorted.filter(({ group }) => {
    const count = taken.get(group) ?? 0;
    taken.set(group, count + 1);
    return count < SHAPES_EACH;
  }).map(({ shape }) => shape);
}

/** @param {TensorEntry} entry */
const storage = ({ format, block_size: block, zero_points: zeros }) => `${format} ${block} ${zeros}`;

/** @param {Manifest} manifest @returns {LinearShape[]} */
export function linearShapes(manifest) {
  const { text, picture, steps } = rowsOf(manifest);
  const uses = manifest.tensors.filter(({ kind, name }) => kind === "linear" && LAYER_LINEAR.test(name)).map((entry) => {
    const [columns = 1, inner = 1] = entry.shape;
    const encoder = entry.stage === "text_encoder";
    const rows = encoder ? text : text + picture;
    const group = `${entry.stage} ${storage(entry)}`;
    const shape = { entry, rows, share: encoder ? 1 : steps };
    return { key: `${group} ${entry.shape}`, group, cost: rows * columns * inner, shape };
  });
  return standFor(uses);
}

/** @param {Manifest} manifest @returns {ConvShape[]} */
export function convShapes(manifest) {
  const { vae_decoder: config, default_width: width, default_height: height } = manifest.config;
  const blocks = config.block_out_channels.length;
  const uses = manifest.tensors.filter(({ kind }) => kind === "conv").map((entry) => {
    const [columns = 1, channels = 1, kernel = 1] = entry.shape;
    const upsample = /\.upsamplers\./.test(entry.name);
    const size = 2 ** (doublings(entry.name, blocks) - (blocks - 1));
    const shape = { entry, width: Math.max(1, width * size), height: Math.max(1, height * size), upsample, share: 1 };
    const group = `${kernel} ${upsample} ${storage(entry)}`;
    const cost = shape.width * shape.height * columns * channels * kernel ** 2 * (upsample ? 4 : 1);
    return { key: `${group} ${entry.shape} ${size}`, group, cost, shape };
  });
  return standFor(uses);
}

/** @param {string} name of a convolution @param {number} blocks @returns {number} how often the latent map was doubled before it */
function doublings(name, blocks) {
  const block = /\.up_blocks\.(\d+)\./.exec(name)?.[1];
  if (block !== undefined) return Number(block);
  return /\.conv_out\./.test(name) ? blocks - 1 : 0;
}

/** @param {Manifest} manifest @returns {AttentionShape[]} text encoder, transformer, VAE */
export function attentionShapes(manifest) {
  const { text, picture, steps } = rowsOf(manifest);
  const { text_encoder: encoder, transformer, vae_decoder: vae } = manifest.config;
  const latent = picture * vae.patch_size ** 2;
  const channels = vae.block_out_channels.at(-1) ?? 0;
  return [
    {
      queries: text + picture, keys: text + picture, heads: transformer.num_attention_heads, kvHeads: transformer.num_attention_heads,
      headDim: transformer.attention_head_dim, causal: false, share: steps * (transformer.num_layers + transformer.num_single_layers),
    },
    {
      queries: text, keys: text, heads: encoder.num_attention_heads, kvHeads: encoder.num_key_value_heads,
      headDim: encoder.head_dim, causal: true, share: encoder.num_layers,
    },
    { queries: latent, keys: latent, heads: 1, kvHeads: 1, headDim: channels, causal: false, share: 1 },
  ];
}
