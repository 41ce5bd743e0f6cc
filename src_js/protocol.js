/**
 * What page and worker say to each other, and the rules for the settings of a picture, which both sides hold.
 * Messages only: nothing here sends or receives one.
 */

import { KleinbildError } from "./errors.js";

/**
 * @typedef {object} Settings
 * @property {string} prompt
 * @property {number} width pixels, a multiple of 16
 * @property {number} height pixels, a multiple of 16
 * @property {bigint} seed 0 .. 2^64 - 1, meaning what it means in diffusers on the CPU
 * @property {number} steps
 * @property {Float32Array | null} latents the initial noise [channels, height/16, width/16], null for the seed's own
 */

/** @typedef {"auto"|"f16"|"f32"} Precision */

/**
 * @typedef {{ type: "inspect", manifestUrl: string }} InspectMessage which files are still to be downloaded?
 * @typedef {{ type: "start", manifestUrl: string, precision: Precision, background: boolean }} StartMessage background: once a picture was
 *   made, what only other pictures need may be downloaded, too
 * @typedef {{ type: "plan", job: number, manifestUrl: string, precision: Precision,
 *   picture: { width: number, height: number, steps: number }, memoryBudget: number | null, preview?: boolean }} PlanMessage what a picture
 *   will need of the GPU's memory; preview: with previews, where they fit
 * @typedef {{ type: "generate", job: number, settings: Settings, trace: boolean, keepPrompt: boolean, memoryBudget?: number | null,
 *   preview?: boolean }} GenerateMessage keepPrompt: what the text encoder makes of the prompt may be kept on this device; the prompt itself
 *   never is; memoryBudget: bytes of GPU memory, null for what the GPU's facts suggest; preview: previews are wanted after the steps
 * @typedef {{ type: "tune" }} TuneMessage measures the kernels again and answers "ready"; a cancel without a job ends it
 * @typedef {{ type: "diagnose", job: number, manifestUrl: string, precision: Precision }} DiagnoseMessage what is known of the GPU
 * @typedef {{ type: "self-check", job: number, manifestUrl: string, precision: Precision }} SelfCheckMessage runs every kernel against its
 *   reference
 * @typedef {{ type: "usage", job: number }} AskUsageMessage what the worker holds
 * @typedef {{ type: "forget" }} ForgetMessage removes what was kept of prompts
 * @typedef {{ type: "cancel", job: number | null }} CancelMessage job null cancels the start
 * @typedef {InspectMessage | PlanMessage | StartMessage | GenerateMessage | TuneMessage | DiagnoseMessage | SelfCheckMessage
 *   | AskUsageMessage | ForgetMessage | CancelMessage} ToWorker
 */

/**
 * @typedef {object} InspectInfo
 * @property {number} totalBytes to download before the first picture where nothing is on the device
 * @property {number} missingBytes of them, still to be downloaded
 * @property {number} laterBytes still to be downloaded that only some pictures need
 * @property {boolean} persistent false when the browser keeps nothing beyond this visit
 * @property {string} model the manifest's id
 * @property {{ width: number, height: number, steps: number }} defaults the model's own settings
 * @property {Record<string, string>} notice what is to be told of the model, by language
 * @property {string[]} examples prompts that suit the model, or none
 * @property {{ width: number, height: number }[]} sizes pixels that suit the model, or none
 */

/**
 * @typedef {object} MemoryNeeds of a picture, in bytes
 * @property {number} least with the parts of the model loaded in turn
 * @property {number} whole with all of them kept, so that the next picture starts at once
 * @property {number} budget that it may use
 * @property {string} refusal why it cannot be made here, "" when it can
 * @property {{ width: number, height: number } | undefined} [largest] of the same shape that can be made here, about; unless none can
 * @property {StageFlops} flops
 * @property {boolean} [previews] whether there will be previews, of a picture that asked for them
 */

/** Arithmetic of one picture's stages; transformer: of one step. @typedef {{ text_encoder: number, transformer: number, vae_decoder: number }} StageFlops */

/**
 * @typedef {object} KernelReport one kind of work and the kernels that can do it on this GPU
 * @property {string} kind
 * @property {string} chosen a candidate's name
 * @property {string} problem "" unless none computes right
 * @property {KernelCandidate[]} candidates the fastest first
 * @property {{ kind: string, chosen: string, candidates: KernelCandidate[] }[]} shapes of the work that have a choice of their own,
 *   from those candidates that were timed on them
 */

/**
 * @typedef {{ name: string, family: "plain"|"matrix", tflops: number, error: number, dropped: string }} KernelCandidate tflops: 0 when
 *   not timed; error: relative to a reference; dropped: why it is not used, "" when it may be
 */

/**
 * @typedef {object} GpuFacts
 * @property {object} device as it would be opened, or is
 * @property {string} device.vendor
 * @property {string} device.architecture
 * @property {string} device.description
 * @property {"f16"|"f32"} device.precision
 * @property {boolean} device.f16
 * @property {boolean} device.fallback
 * @property {string[]} device.features those that kernels use beside f16
 * @property {[number, number]} device.subgroupSizes
 * @property {string[]} device.matrixShapes
 * @property {Record<string, number>} device.limits those that kernels use
 * @property {number} [device.memoryBytes]
 * @property {ReadyInfo["kernels"] | null} kernels what was measured here and kept, null where nothing was
 * @property {{ id: string, name: string, revision: string }} model
 */

/**
 * @typedef {object} SelfCheckReport
 * @property {{ kind: string, name: string, chosen: boolean, error: number, limit: number, problem: string }[]} checks name: "" where a
 *   kind of work has one kernel; error: relative to the reference; limit: the largest that is right; problem: why it did not run
 * @property {string[]} faults of the shader compiler and of references, in words
 * @property {number} seconds
 */

/**
 * @typedef {object} ReadyInfo
 * @property {"f16"|"f32"} precision what the kernels compute in
 * @property {boolean} fallback whether the adapter is a software one
 * @property {string} vendor
 * @property {string} architecture
 * @property {string} description
 * @property {Record<string, number>} limits
 * @property {string} model the manifest's id
 * @property {string} revision
 * @property {boolean} persistent false when the browser keeps nothing beyond this visit
 * @property {{ kinds: KernelReport[], faults: string[], seconds: number }} kernels as measured on this GPU, once; faults: of its shader
 *   compiler, in words
 */

/**
 * "download" counts bytes and files, of the start or of what one picture needs; "tuning" measures kernels, "checking" compares them with
 * their references, and both count them; "loading" puts a model on the GPU; the others are the stages of a picture.
 * @typedef {"download"|"tuning"|"checking"|"loading"|"text_encoder"|"transformer"|"vae_decoder"} ProgressStage
 */

/**
 * @typedef {object} Progress
 * @property {ProgressStage} stage
 * @property {number} step files, kernels or steps done
 * @property {number} steps files, kernels or steps in all
 * @property {number} fraction of the start, or of the whole picture: 0..1, never decreasing
 * @property {number} [bytes] downloaded, or of the stage that is being loaded onto the GPU
 * @property {number} [totalBytes] to download or load
 * @property {number} [bytesPerSecond] of loading
 */

/**
 * @typedef {object} BackgroundState of the download of what only some pictures need
 * @property {number} bytes downloaded in this visit; never decreasing until it stops
 * @property {number} totalBytes to download
 * @property {boolean} done whether the whole model is on this device
 * @property {string} problem why it stopped, "" while it goes on; it is tried again after the next picture
 */

/**
 * @typedef {object} Usage what the worker holds; all zero while no model is on the GPU
 * @property {number} bytes of GPU memory
 * @property {number} peakBytes the most that was in use at once since the model was started
 * @property {number} buffers on the GPU
 * @property {number} bindGroups of programs that can run
 * @property {number} pipelines compiled
 * @property {number} reads from the GPU that are under way
 * @property {number} files of the model held open
 */

/** @typedef {"int32"|"float32"|"uint8"} TraceType */

/**
 * @typedef {{ type: "progress", job: number | null } & Progress} ProgressMessage job null belongs to the start
 * @typedef {{ type: "inspected", info: InspectInfo }} InspectedMessage
 * @typedef {{ type: "planned", job: number, needs: MemoryNeeds }} PlannedMessage
 * @typedef {{ type: "ready", info: ReadyInfo }} ReadyMessage
 * @typedef {{ type: "diagnosed", job: number, facts: GpuFacts }} DiagnosedMessage
 * @typedef {{ type: "checked", job: number, report: SelfCheckReport }} CheckedMessage
 * @typedef {{ type: "usage", job: number, usage: Usage }} UsageMessage
 * @typedef {{ type: "forgotten" }} ForgottenMessage
 * @typedef {{ type: "background" } & BackgroundState} BackgroundMessage
 * @typedef {object} TraceMessage
 * @property {"trace"} type
 * @property {number} job
 * @property {string} name
 * @property {TraceType} dtype
 * @property {number[]} shape
 * @property {Int32Array | Float32Array | Uint8Array | Uint8ClampedArray} data
 *
 * @typedef {object} PreviewMessage what the picture looks like so far: the estimate of the clean picture after a step, decoded small. Not
 *   after every step where a step is quick, and none after the last, which the picture itself follows
 * @property {"preview"} type
 * @property {number} job
 * @property {number} step finished ones: 1 .. steps - 1
 * @property {number} width pixels; of the picture's shape within one pixel of its own grid, to be stretched to the picture's size
 * @property {number} height
 * @property {Uint8ClampedArray<ArrayBuffer>} rgba opaque pixels, row by row
 *
 * @typedef {object} ResumedMessage the GPU was lost in the middle of a picture, and the picture goes on from its last finished step
 * @property {"resumed"} type
 * @property {number} job
 * @property {number} step finished ones that are kept
 * @property {number} losses in this picture so far
 *
 * @typedef {object} ResultMessage
 * @property {"result"} type
 * @property {number} job
 * @property {number} width
 * @property {number} height
 * @property {ArrayBuffer} png
 * @property {Record<string, number>} seconds by stage
 *
 * @typedef {object} ErrorMessage
 * @property {"error"} type
 * @property {number | null} job null: not of one picture
 * @property {import("./errors.js").ErrorCode} code
 * @property {string} message
 *
 * @typedef {ProgressMessage | InspectedMessage | PlannedMessage | ReadyMessage | DiagnosedMessage | CheckedMessage | UsageMessage | ForgottenMessage | BackgroundMessage | TraceMessage
 *   | PreviewMessage | ResumedMessage | ResultMessage | ErrorMessage} FromWorker
 */

export const MAX_PROMPT_CHARACTERS = 100_000;
export const SIDE_MULTIPLE = 16;
export const MIN_SIDE = 16;
export const MAX_SIDE = 2048;
export const MAX_STEPS = 100;
export const MAX_SEED = 2n ** 64n - 1n;

/** @param {number} side pixels @returns {number} the next lower multiple of 16, as the reference pipeline does */
export function floorSide(side) {
  return Math.floor(side / SIDE_MULTIPLE) * SIDE_MULTIPLE;
}

/**
 * What can be checked without the model; the generator checks the rest.
 * @param {Settings} settings
 * @throws {KleinbildError} "bad-input", naming the setting
 */
export function checkSettings({ prompt, width, height, seed, steps, latents }) {
  if (typeof prompt !== "string") throw badInput("The prompt must be text.");
  if (prompt.length > MAX_PROMPT_CHARACTERS) {
    throw badInput(`The prompt has ${prompt.length} characters; at most ${MAX_PROMPT_CHARACTERS} are taken.`);
  }
  for (const [name, side] of /** @type {[string, number][]} */ ([["width", width], ["height", height]])) {
    if (!Number.isInteger(side) || side < MIN_SIDE || side > MAX_SIDE || side % SIDE_MULTIPLE !== 0) {
      throw badInput(`The ${name} must be a multiple of ${SIDE_MULTIPLE} from ${MIN_SIDE} to ${MAX_SIDE}, not ${side}.`);
    }
  }
  if (!Number.isInteger(steps) || steps < 1 || steps > MAX_STEPS) {
    throw badInput(`The steps must be a whole number from 1 to ${MAX_STEPS}, not ${steps}.`);
  }
  if (typeof seed !== "bigint" || seed < 0n || seed > MAX_SEED) {
    throw badInput(`The seed must be a whole number from 0 to ${MAX_SEED}, not ${seed}.`);
  }
  if (latents !== null && !(latents instanceof Float32Array)) throw badInput("The latents must be float32 values.");
}

/** @param {string} message */
function badInput(message) {
  return new KleinbildError("bad-input", message);
}
