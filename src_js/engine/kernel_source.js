/**
 * Turns a kernel file into the WGSL of one variant: one source serves every float type and every epilogue.
 *
 * A kernel file is plain WGSL plus four directives on lines of their own: `//#include name`, `//#if FLAG`, `//#else`,
 * `//#endif`. A variant gives types (`alias F = f16;`), constants (`const HEAD_DIM: u32 = 128u;`) and flags; a type T
 * that is f16 also raises the flag T_F16. This is not a general preprocessor: flags are names, not expressions.
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
  "attention", "conv2d", "copy", "elementwise", "gemm_tile", "group_norm_apply", "group_norm_combine", "group_norm_partial",
  "layer_norm", "linear", "qk_norm_rope", "reduce", "rms_norm", "store", "swiglu", "to_rgba", "unpack_latents", "weights",
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
  const flags = new Set(variant.flags ?? []);
  for (const [name, type] of Object.entries(types)) {
    if (type === "f16") flags.add(`${name}_F16`);
  }
  const lines = Object.values(types).includes("f16") ? ["enable f16;"] : [];
  for (const [name, type] of Object.entries(types)) lines.push(`alias ${name} = ${type};`);
  for (const [name, value] of Object.entries(variant.constants ?? {})) lines.push(`const ${name}: u32 = ${value}u;`);
  expand(sources, variant.kernel, flags, lines);
  return lines.join("\n");
}

/**
 * @param {ReadonlyMap<string, string>} sources
 * @param {string} name
 * @param {ReadonlySet<string>} flags
 * @param {string[]} out
 */
function expand(sources, name, flags, out) {
  const source = sources.get(name);
  if (source === undefined) throw new Error(`kernel file ${name}.wgsl is not loaded`);
  /** @type {boolean[]} */
  const open = [];
  for (const line of source.split("\n")) {
    const [, directive, argument] = /^\s*\/\/#(\w+)\s*(\w*)\s*$/.exec(line) ?? [];
    const continues = directive === "else" || directive === "endif";
    if (continues && open.length === 0) throw new Error(`${name}.wgsl: //#${directive} without //#if`);
    if (directive === "if") open.push(flags.has(argument ?? ""));
    else if (directive === "else") open.push(!open.pop());
    else if (directive === "endif") open.pop();
    else if (open.includes(false)) continue;
    else if (directive === "include") expand(sources, argument ?? "", flags, out);
    else if (line.includes("//#")) throw new Error(`${name}.wgsl: no such directive: ${line.trim()}`);
    else out.push(line);
  }
  if (open.length > 0) throw new Error(`${name}.wgsl: //#if without //#endif`);
}
