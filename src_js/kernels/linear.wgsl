// Linear layer: C[m, n] = sum over k of A[m, k] W[n, k], then its epilogue.
//
// A [rows, inner] of type A, W [columns, inner] (weights.wgsl), C [rows, columns] of type C; A and C are views with an
// offset and a row stride in elements. Epilogue, in this order: + bias[n] (BIAS), silu (SILU), then either a plain
// store or, with ACCUMULATE, C += gate[n] * value (gate_stride 0: one gate for all columns; without GATE: 1).
// column_begin is where this part of a split weight lands in C. Workgroups: columns / TILE_N, rows / TILE_M (gemm_tile.wgsl).

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
  w_stride: u32,
  scale_stride: u32,
  zero_stride: u32,
  gate_offset: u32,
  gate_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
//#if A_VEC4
@group(0) @binding(1) var<storage, read> a: array<vec4<A>>;
//#else
@group(0) @binding(1) var<storage, read> a: array<A>;
//#endif
@group(0) @binding(2) var<storage, read_write> c: array<C>;
//#if BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;
//#endif
//#if GATE
@group(0) @binding(7) var<storage, read> gate: array<f32>;
//#endif

//#include weights
//#include store

fn load_a4(m: u32, k: u32) -> vec4<F> {
  if (m >= p.rows || k >= p.inner) {
    return vec4<F>();
  }
  let at = p.a_offset + m * p.a_stride + k;
//#if A_VEC4
  return vec4<F>(a[at / 4u]);
//#else
  var value = vec4<F>();
  for (var i = 0u; i < 4u && k + i < p.inner; i++) {
    value[i] = F(a[at + i]);
  }
  return value;
//#endif
}

fn store4(m: u32, n: u32, values: vec4<f32>) {
  if (m >= p.rows) {
    return;
  }
  for (var i = 0u; i < 4u && n + i < p.columns; i++) {
    let column = p.column_begin + n + i;
    var value = values[i];
//#if BIAS
    value += bias[column];
//#endif
//#if SILU
    value = value / (1.0 + exp(-value));
//#endif
    let at = p.c_offset + m * p.c_stride + column;
//#if ACCUMULATE
//#if GATE
    value *= gate[p.gate_offset + column * p.gate_stride];
//#endif
    c[at] = to_c(f32(c[at]) + value);
//#else
    c[at] = to_c(value);
//#endif
  }
}

//#include gemm_tile
