/**
 * Sinusoidal timestep embedding (diffusers, get_timestep_embedding with flip_sin_to_cos and no downscale shift), float32.
 */

const f32 = Math.fround;

/**
 * @param {number} sigma in [0, 1], float32: the pipeline hands the model timestep / 1000 with timestep = 1000 sigma
 * @param {number} channels even
 * @returns {Float32Array<ArrayBuffer>} [channels]: cosines, then sines
 */
export function timestepEmbedding(sigma, channels) {
  const half = channels / 2;
  const scale = f32(-Math.log(10000));
  const t = f32(f32(f32(sigma * 1000) / 1000) * 1000);
  const embedding = new Float32Array(channels);
  for (let i = 0; i < half; i++) {
    const frequency = f32(Math.exp(f32(f32(scale * i) / half)));
    const angle = f32(t * frequency);
    embedding[i] = Math.cos(angle);
    embedding[half + i] = Math.sin(angle);
  }
  return embedding;
}
