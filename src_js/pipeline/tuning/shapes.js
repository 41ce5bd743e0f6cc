/**
 * Which shapes stand for a model's work when kernels are compared and timed: of convolutions and attention those that take the most
 * arithmetic in a picture of the default size, of linears all that matter in pictures of the usual sizes. Counting only; jobs.js makes
 * work of them.
 */

/**
 * @typedef {import("../../manifest.js").Manifest} Manifest
 * @typedef {import("../../manifest.js").Tensor} TensorEntry
 */

/**
 * @typedef {object} LinearShape
 * @property {TensorEntry[]} entries weights of these columns, all stored alike, one of each shape, the one of most arithmetic first
 * @property {number} columns of the output
 * @property {number} rows of the activations
 * @property {number} share times that a picture does this
 * @property {boolean} leads whether it is the costliest one of its way of storing in a picture of the default size
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
/** Of those, in the double blocks (transformer.js), what works on the text's rows and what on the picture's. */
const TEXT_LINEAR = /^transformer_blocks\.\d+\.(attn\.(add_[qkv]_proj|to_add_out)|ff_context)\b/;
const PICTURE_LINEAR = /^transformer_blocks\./;
/** Of each way of storing convolutions, and of each of their kernels, so many shapes. */
const SHAPES_EACH = 2;
/** Sides of usual pictures in pixels, beside the default size. */
const USUAL_SIDES = [256, 512, 1024];
/** A linear's shape matters where it is this part of a picture's arithmetic in linears; less is not worth a measurement. */
const LEAST_PART = 0.03;
/** Of as many columns, rows that differ by no more than this factor want the same kernel. */
const NEAR_ROWS = 1.25;

/**
 * @param {Manifest} manifest
 * @param {number} [width] pixels of the picture, as a rule the default ones
 * @param {number} [height]
 * @returns {{text: number, picture: number, steps: number}} rows
 */
function rowsOf({ config }, width = config.default_width, height = config.default_height) {
  const side = config.vae_decoder.patch_size * 2 ** (config.vae_decoder.block_out_channels.length - 1);
  const picture = Math.max(1, Math.floor(width / side) * Math.floor(height / side));
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

/**
 * @param {Manifest} manifest
 * @returns {LinearShape[]} for each way of storing first the costliest shape of a picture of the default size, then the others that
 *   matter in a picture of that or a usual size, the largest part of one first
 */
export function linearShapes(manifest) {
  const linears = manifest.tensors.filter(({ kind, name }) => kind === "linear" && LAYER_LINEAR.test(name));
  /** @type {Map<string, LinearShape & {group: string, part: number}>} */
  const shapes = new Map();
  const usual = USUAL_SIDES.map((side) => rowsOf(manifest, side, side));
  for (const [i, rows] of [rowsOf(manifest), ...usual].entries()) {
    const uses = linearUses(linears, rows);
    const total = uses.reduce((sum, { cost }) => sum + cost, 0);
    const led = new Set();
    for (const { group, columns, rows: count, cost, share } of uses) {
      const leads = i === 0 && !led.has(group);
      led.add(group);
      const key = `${group} ${columns} ${count}`;
      const part = cost / total;
      const known = shapes.get(key);
      if (known) known.part = Math.max(known.part, part);
      else if (leads || part >= LEAST_PART) {
        shapes.set(key, { group, columns, rows: count, share, part, leads, entries: alike(linears, group, columns) });
      }
    }
  }
  const sorted = [...shapes.values()].sort((a, b) => Number(b.leads) - Number(a.leads) || b.part - a.part);
  const near = (/** @type {number} */ a, /** @type {number} */ b) => Math.max(a, b) <= NEAR_ROWS * Math.min(a, b);
  /** @type {typeof sorted} */
  const kept = [];
  for (const shape of sorted) {
    if (!kept.some(({ group, columns, rows }) => group === shape.group && columns === shape.columns && near(rows, shape.rows))) kept.push(shape);
  }
  return kept.map(({ entries, columns, rows, share, leads }) => ({ entries, columns, rows, share, leads }));
}

/**
 * @param {readonly TensorEntry[]} linears
 * @param {ReturnType<typeof rowsOf>} of a picture
 * @returns {{group: string, columns: number, rows: number, cost: number, share: number}[]} by way of storing and shape of the output,
 *   the costliest first
 */
function linearUses(linears, { text, picture, steps }) {
  /** @type {Map<string, {group: string, columns: number, rows: number, cost: number, share: number}>} */
  const uses = new Map();
  for (const entry of linears) {
    const [columns = 1, inner = 1] = entry.shape;
    const encoder = entry.stage === "text_encoder";
    const rows = encoder || TEXT_LINEAR.test(entry.name) ? text : PICTURE_LINEAR.test(entry.name) ? picture : text + picture;
    const group = storage(entry);
    const key = `${group} ${columns} ${rows}`;
    const use = uses.get(key) ?? { group, columns, rows, cost: 0, share: 0 };
    const share = encoder ? 1 : steps;
    uses.set(key, { ...use, cost: use.cost + share * rows * columns * inner, share: use.share + share });
  }
  return [...uses.values()].sort((a, b) => b.cost - a.cost);
}

/**
 * @param {readonly TensorEntry[]} linears @param {string} group @param {number} columns
 * @returns {TensorEntry[]} one of each shape, the one of most arithmetic first
 */
function alike(linears, group, columns) {
  const inner = (/** @type {TensorEntry} */ { shape }) => shape[1] ?? 1;
  const found = linears.filter((entry) => storage(entry) === group && entry.shape[0] === columns);
  return [...new Map(found.map((entry) => [inner(entry), entry])).values()].sort((a, b) => inner(b) - inner(a));
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
