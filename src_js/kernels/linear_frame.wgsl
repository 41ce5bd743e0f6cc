// What the linear layer's kernels share: C[m, n] = sum over k of A[m, k] W[n, k], then its epilogue.
//
// A [rows, inner] of type A, W [columns, inner] (linear_weights.wgsl), C [rows, columns] of type C; A and C are views with an offset and a
// row stride in elements. Epilogue, in this order: + bias[n] (BIAS), silu (SILU), then either a plain store or, with ACCUMULATE,
// C += gate[n] * value (gate_stride 0: one gate for all columns; without GATE: 1). column_begin is where this part of a split weight
// lands in C. With QUADS offsets, strides and columns are multiples of 4. Workgroups: columns / TILE_N, rows / TILE_M.

struct Params {
  rows: u32,
  columns: u32,
  inner: u32,
  row_begin: u32,
  a_offset: u32,
  a_stride: u32,
  c_offset: u32,
  c_stride: u32,
  column_begin: u32,
  w_columns: u32,
  w_rows: u32,
  gate_offset: u32,
  gate_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
//#if QUADS
@group(0) @binding(2) var<storage, read_write> c: array<vec4<C>>;
//#else
@group(0) @binding(2) var<storage, read_write> c: array<C>;
//#endif
//#if BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;
//#endif
//#if GATE
@group(0) @binding(7) var<storage, read> gate: array<f32>;
//#endif

//#include linear_weights
//#include store

// the sums of row m and columns n..n+3 of this part go through the epilogue
fn store4(m: u32, n: u32, sums: vec4<f32>) {
  if (m >= p.rows || n >= p.columns) {
    return;
  }
  let column = p.column_begin + n;
  let at = p.c_offset + m * p.c_stride + column;
  var value = sums;
//#if BIAS
  value += vec4<f32>(bias[column], bias[column + 1u], bias[column + 2u], bias[column + 3u]);
//#endif
//#if SILU
  value = value / (1.0 + exp(-value));
//#endif
//#if GATE
  let g = p.gate_offset + column * p.gate_stride;
  value *= vec4<f32>(gate[g], gate[g + p.gate_stride], gate[g + 2u * p.gate_stride], gate[g + 3u * p.gate_stride]);
//#endif
//#if QUADS
//#if ACCUMULATE
  value += vec4<f32>(c[at / 4u]);
//#endif
  c[at / 4u] = to_c4(value);
//#else
  for (var i = 0u; i < 4u && n + i < p.columns; i++) {
//#if ACCUMULATE
    c[at + i] = to_c(f32(c[at + i]) + value[i]);
//#else
    c[at + i] = to_c(value[i]);
//#endif
  }
//#endif
}
