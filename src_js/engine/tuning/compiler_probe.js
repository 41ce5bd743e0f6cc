/**
 * Looks for known faults of shader compilers on this GPU. What it finds is told in the diagnosis; no kernel depends on it.
 */

const INVOCATIONS = 32;
const ROUNDS = 5;

/** What is told, by the flags of the variant that came out wrong. */
const FAULTS = Object.freeze({
  "": "The shader compiler does not zero a vec4 that is declared without initialiser inside a loop (no kernel here relies on it).",
  INITIALISED: "The shader compiler does not initialise a vec4 that is declared inside a loop: results may be wrong.",
});

/**
 * @param {import("../engine.js").Engine} engine
 * @returns {Promise<string[]>} a sentence for each fault found
 */
export async function compilerFaults(engine) {
  const faults = [];
  for (const [flag, fault] of Object.entries(FAULTS)) {
    if (!(await zeroesEachRound(engine, flag === "" ? [] : [flag]))) faults.push(fault);
  }
  return faults;
}

/** @param {import("../engine.js").Engine} engine @param {string[]} flags of the kernel @returns {Promise<boolean>} */
async function zeroesEachRound(engine, flags) {
  const program = engine.program("compiler probe", "f32");
  try {
    const out = program.tensor(INVOCATIONS, 4);
    const variant = { kernel: "probe_zero", flags };
    program.dispatch({ variant, uints: [ROUNDS], bindings: { 1: out }, workgroups: [1, 1], flops: INVOCATIONS });
    await program.build();
    await engine.run(program);
    return (await engine.read(out)).every((count) => count === 1);
  } finally {
    program.destroy();
  }
}
