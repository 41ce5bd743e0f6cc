/**
 * Turns a kernel file into the WGSL of one variant: one source serves every float type and every epilogue.
 *
 * A kernel file is plain WGSL plus directives on lines of their own: `//#include name`, `//#if FLAG`, `//#else`, `//#endif`, and
 * `//#for i in COUNT` ... `//#endfor`, which repeats its lines with `$i` replaced by 0, 1, ... COUNT - 1; COUNT is a constant of the
 * variant or a number. Unrolling in the source keeps what a kernel holds in registers there, whatever the driver's compiler does.
 * `//#enable name` asks for a WGSL language extension. A variant gives types (`alias F = f16;`), constants (`const HEAD_DIM: u32 = 128u;`) and flags; a type T that is f16 also raises
 * the flag T_F16. This is not a general preprocessor: flags are names, not expressions.
 */

/**
 * @typedef {"f32"|"f16"} FloatType
 * @typedef {object} Variant
 * @property {string} kernel kernel file name without .wgsl
 * @property {Record<string, FloatType>} [types]
 * @property {Record<string, number>} [constants] unsigned integers
 * @property {string[]} [flags]
 */

/** Every kernel file and include, by name; the order is of no meaning. */
export const KERNEL_FILES = Object.freeze([
  "attention", "attention_tile", "conv2d", "conv2d_frame", "conv2d_packed", "conv2d_step", "conv_weights", "copy", "elementwise", "gemm_matrix", "gemm_packed", "gemm_plain", "group_norm_apply",
  "group_norm_combine", "group_norm_partial", "layer_norm", "linear", "linear_frame", "linear_halves", "linear_matrix", "linear_packed",
  "linear_weights", "peak_copy", "peak_fma", "preview_latents", "probe_zero", "qk_norm_rope", "random", "random_codes", "random_floats",
  "reduce", "rms_norm", "store", "swiglu", "to_rgba", "units", "unpack_latents",
]);

/** @param {Variant} variant @returns {string} A key equal for equal variants. */
export function variantKey(variant) {
  const sorted = (/** @type {Record<string, unknown>} */ record) =>
    Object.entries(record).map(([name, value]) => `${name}=${value}`).sort().join(",");
  return [
    variant.kernel, sorted(variant.types ?? {}), sorted(variant.constants ?? {}), [...(variant.flags ?? [])].sort().join(","),
  ].join("|");
}

/**
 * @param {ReadonlyMap<string, string>} sources kernel files by name
 * @param {Variant} variant
 * @returns {string} WGSL of the variant
 */
export function renderKernel(sources, variant) {
  const types = variant.types ?? {};
  const constants = variant.constants ?? {};
  const flags = new Set(variant.flags ?? []);
  for (const [name, type] of Object.entries(types)) {
    if (type === "f16") flags.add(`${name}_F16`);
  }
  /** @type {string[]} */
  const lines = [];
  for (const [name, type] of Object.entries(types)) lines.push(`alias ${name} = ${type};`);
  for (const [name, value] of Object.entries(constants)) lines.push(`const ${name}: u32 = ${value}u;`);
  const expansion = new Expansion(sources, constants, flags, lines);
  if (Object.values(types).includes("f16")) expansion.extensions.add("f16");
  expansion.file(variant.kernel);
  return [...extensionLines(expansion.extensions), ...lines].join("\n");
}

/** Its tests for uniform control flow refuse what is uniform by construction, as a loop over a uniform's value. */
const MATRIX_EXTENSION = "chromium_experimental_subgroup_matrix";

/** @param {ReadonlySet<string>} extensions @returns {string[]} */
function extensionLines(extensions) {
  const lines = [...extensions].map((name) => `enable ${name};`);
  if (extensions.has(MATRIX_EXTENSION)) lines.push("diagnostic(off, chromium.subgroup_matrix_uniformity);");
  return lines;
}

/** One variant's text in the making. */
class Expansion {
  /** @type {Set<string>} */
  extensions = new Set();

  /**
   * @param {ReadonlyMap<string, string>} sources
   * @param {Record<string, number>} constants
   * @param {ReadonlySet<string>} flags
   * @param {string[]} out
   */
  constructor(sources, constants, flags, out) {
    this.sources = sources;
    this.constants = constants;
    this.flags = flags;
    this.out = out;
  }

  /** @param {string} name a kernel file */
  file(name) {
    const source = this.sources.get(name);
    if (source === undefined) throw new Error(`kernel file ${name}.wgsl is not loaded`);
    this.#lines(name, source.split("\n"));
  }

  /** @param {string} name for messages @param {string[]} lines */
  #lines(name, lines) {
    /** @type {boolean[]} */
    const open = [];
    for (let at = 0; at < lines.length; at++) {
      const line = /** @type {string} */ (lines[at]);
      const [, directive, argument = ""] = /^\s*\/\/#(\w+)\s*(\w*|\w+ in \w+)\s*$/.exec(line) ?? [];
      const continues = directive === "else" || directive === "endif";
      if (continues && open.length === 0) throw new Error(`${name}.wgsl: //#${directive} without //#if`);
      if (directive === "if") open.push(this.flags.has(argument));
      else if (directive === "else") open.push(!open.pop());
      else if (directive === "endif") open.pop();
      else if (directive === "for") {
        const end = loopEnd(name, lines, at);
        if (!open.includes(false)) this.#repeat(name, argument, lines.slice(at + 1, end));
        at = end;
      } else if (open.includes(false)) continue;
      else if (directive === "include") this.file(argument);
      else if (directive === "enable") this.extensions.add(argument);
      else if (line.includes("//#")) throw new Error(`${name}.wgsl: no such directive: ${line.trim()}`);
      else this.out.push(line);
    }
    if (open.length > 0) throw new Error(`${name}.wgsl: //#if without //#endif`);
  }

  /** @param {string} name @param {string} argument "i in COUNT" @param {string[]} lines the loop's body */
  #repeat(name, argument, lines) {
    const [, variable, bound = ""] = /^([a-z]+) in (\w+)$/.exec(argument) ?? [];
    const count = this.constants[bound] ?? (/^\d+$/.test(bound) ? Number(bound) : undefined);
    if (!variable || count === undefined) throw new Error(`${name}.wgsl: cannot repeat "${argument}"`);
    const mark = new RegExp(`\\$${variable}(?![a-z])`, "g");
    for (let i = 0; i < count; i++) this.#lines(name, lines.map((line) => line.replace(mark, String(i))));
  }
}

/** @param {string} name @param {readonly string[]} lines @param {number} begin the `//#for` @returns {number} its `//#endfor` */
function loopEnd(name, lines, begin) {
  let depth = 0;
  for (let at = begin; at < lines.length; at++) {
    const [, directive] = /^\s*\/\/#(for|endfor)\b/.exec(lines[at] ?? "") ?? [];
    if (directive === "for") depth++;
    if (directive === "endfor" && --depth === 0) return at;
  }
  throw new Error(`${name}.wgsl: //#for without //#endfor`);
}
