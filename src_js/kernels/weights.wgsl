// Reads a linear's weight W [N, K] in the shard's layout: f32, f16, or 4-bit codes with a scale a block.
//
// Rows are p.w_stride elements apart (a multiple of 8, zero padded). 4-bit: two codes a byte, low nibble = even k;
// value = (code - zero point) * scale with BLOCK codes to a scale; scales are f16, rows of p.scale_stride; zero
// points are nibbles, rows of p.zero_stride, or 8 everywhere. f16 is read as packed words, so a device without
// shader-f16 reads the same bytes.

//#if W_F32
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
//#endif
//#if W_F16
@group(0) @binding(3) var<storage, read> w: array<vec2<u32>>;
//#endif
//#if W_Q4
@group(0) @binding(3) var<storage, read> w: array<u32>;
@group(0) @binding(4) var<storage, read> scales: array<u32>;
//#if ZERO_POINTS
@group(0) @binding(5) var<storage, read> zero_points: array<u32>;
//#endif
//#endif

fn load_w4(n: u32, k: u32) -> vec4<F> {
  if (n >= p.columns || k >= p.w_stride) {
    return vec4<F>();
  }
  let at = n * p.w_stride + k;
//#if W_F32
  return vec4<F>(w[at / 4u]);
//#endif
//#if W_F16
  let word = w[at / 4u];
  return vec4<F>(vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y)));
//#endif
//#if W_Q4
  let word = w[at / 8u] >> ((k & 4u) * 4u);
  let code = vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
  let block = k / BLOCK;
  let s = n * p.scale_stride + block;
  let scale = unpack2x16float(scales[s / 2u])[s & 1u];
//#if ZERO_POINTS
  let z = n * p.zero_stride + block;
  let zero = f32((zero_points[z / 8u] >> ((z & 7u) * 4u)) & 15u);
//#else
  let zero = 8.0;
//#endif
  return vec4<F>((code - zero) * scale);
//#endif
}
