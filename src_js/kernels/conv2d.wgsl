// Convolution, stride 1, zero "same" padding, KERNEL 1 or 3, as an implicit matrix product.
//
// Input NHWC [in_height, in_width, channels] of type A, weight [columns, KERNEL * KERNEL * channels] with
// k = (ky * KERNEL + kx) * channels + channel (weights.wgsl), output NHWC [height, width, columns] of type C.
// With UPSAMPLE the input is first doubled by nearest neighbour (height = 2 in_height), without storing it.
// + bias[n], and with RESIDUAL + residual (laid out as the output). channels is a multiple of 4.
// Workgroups: columns / TILE_N, height * width / TILE_M (gemm_tile.wgsl).

struct Params {
  rows: u32,
  columns: u32,
  inner: u32,
  row_begin: u32,
  width: u32,
  height: u32,
  channels: u32,
  w_stride: u32,
  scale_stride: u32,
  zero_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<A>>;
@group(0) @binding(2) var<storage, read_write> c: array<C>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
//#if RESIDUAL
@group(0) @binding(7) var<storage, read> residual: array<A>;
//#endif

//#include weights
//#include store

fn load_a4(m: u32, k: u32) -> vec4<F> {
  if (m >= p.rows || k >= p.inner) {
    return vec4<F>();
  }
  let tap = k / p.channels;
  let channel = k - tap * p.channels;
  let row = m / p.width;
  let y = i32(row) + i32(tap / KERNEL) - i32(KERNEL / 2u);
  let x = i32(m - row * p.width) + i32(tap % KERNEL) - i32(KERNEL / 2u);
  if (y < 0 || x < 0 || y >= i32(p.height) || x >= i32(p.width)) {
    return vec4<F>();
  }
//#if UPSAMPLE
  let pixel = u32(y / 2) * (p.width / 2u) + u32(x / 2);
//#else
  let pixel = u32(y) * p.width + u32(x);
//#endif
  return vec4<F>(a[(pixel * p.channels + channel) / 4u]);
}

fn store4(m: u32, n: u32, values: vec4<f32>) {
  if (m >= p.rows) {
    return;
  }
  for (var i = 0u; i < 4u && n + i < p.columns; i++) {
    let at = m * p.columns + n + i;
    var value = values[i] + bias[n + i];
//#if RESIDUAL
    value += f32(residual[at]);
//#endif
    c[at] = to_c(value);
  }
}

//#include gemm_tile
