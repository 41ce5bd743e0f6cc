// What conv2d.wgsl and conv2d_packed.wgsl share: parameters, bindings, which pixels a tap meets, the epilogue.

struct Params {
  width: u32,
  height: u32,
  channels: u32,
  columns: u32,
  tiles_x: u32,
  tile_begin: u32,
  w_stride: u32,
  channel_rows: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
//#if A_WIDE
@group(0) @binding(1) var<storage, read> a: array<vec4<u32>>;
//#else
@group(0) @binding(1) var<storage, read> a: array<vec4<A>>;
//#endif
//#if F_F16
@group(0) @binding(3) var<storage, read> w: array<vec4<u32>>;
//#else
@group(0) @binding(3) var<storage, read> w: array<vec4<F>>;
//#endif
//#if C_VEC4
@group(0) @binding(2) var<storage, read_write> c: array<vec4<C>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
//#if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<vec4<A>>;
//#endif
//#else
@group(0) @binding(2) var<storage, read_write> c: array<C>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
//#if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<A>;
//#endif
//#endif

//#include store

const TILE_M = TILE_W * TILE_H;
const TILE_K = K_PARTS * 8u;
const ROW_THREADS = TILE_M / (4u * M_QUADS);
const COLUMN_THREADS = TILE_N / (4u * N_QUADS);
const WORKGROUP = ROW_THREADS * COLUMN_THREADS;

/// Where a workgroup works: its tile's first pixel and column, how far a tap reaches up and left, the first row of its weight.
struct Place {
  corner: vec2<u32>,
  n0: u32,
  reach: vec2<i32>,
  w_row: u32,
}

fn place(group: vec3<u32>) -> Place {
  let tile = p.tile_begin + group.y;
  let tile_y = tile / p.tiles_x;
  let corner = vec2<u32>((tile - tile_y * p.tiles_x) * TILE_W, tile_y * TILE_H);
//#if FOLD
  let parity = group.x & 3u;
  let reach = 1 - vec2<i32>(vec2<u32>(parity & 1u, parity >> 1u));
  return Place(corner, (group.x >> 2u) * TILE_N, reach, parity * KERNEL * KERNEL * p.channel_rows);
//#else
  return Place(corner, group.x * TILE_N, vec2<i32>(i32(KERNEL / 2u)), 0u);
//#endif
}

/// The pixel that the first tap of the tile's pixel m meets, perhaps outside the map.
fn first_pixel(at: Place, m: u32) -> vec2<i32> {
  return vec2<i32>(at.corner + vec2<u32>(m % TILE_W, m / TILE_W)) - at.reach;
}

/// A bit for each tap that meets a pixel of the map.
fn taps_inside(first: vec2<i32>) -> u32 {
  var taps = 0u;
  for (var i = 0u; i < KERNEL * KERNEL; i++) {
    let at = first + vec2<i32>(vec2<u32>(i % KERNEL, i / KERNEL));
    if (all(at >= vec2<i32>()) && all(at < vec2<i32>(vec2<u32>(p.width, p.height)))) {
      taps |= 1u << i;
    }
  }
  return taps;
}

/// Which block of columns and rows of the tile an invocation makes, x column and y row.
fn thread_place(index: u32) -> vec2<u32> {
//#if INTERLEAVED
  let block = index / 32u;
  let x = (block % (COLUMN_THREADS / 8u)) * 8u + ((index & 1u) | ((index >> 1u) & 6u));
  let y = (block / (COLUMN_THREADS / 8u)) * 4u + (((index >> 1u) & 1u) | ((index >> 3u) & 2u));
  return vec2<u32>(x, y);
//#else
  return vec2<u32>(index % COLUMN_THREADS, index / COLUMN_THREADS);
//#endif
}

/// Columns n to n + 3 of one pixel of the tile; `parity` (x + 2 y) is where in the doubled map with FOLD.
fn store4(at: vec2<u32>, parity: u32, n: u32, values: vec4<f32>) {
  if (at.x >= p.width || at.y >= p.height || n >= p.columns) {
    return;
  }
//#if FOLD
  let pixel = (2u * at.y + (parity >> 1u)) * (2u * p.width) + 2u * at.x + (parity & 1u);
//#else
  let pixel = at.y * p.width + at.x;
//#endif
//#if C_VEC4
  let to = (pixel * p.columns + n) / 4u;
  var value = values + bias[n / 4u];
//#if RESIDUAL
  value += vec4<f32>(residual[to]);
//#endif
  c[to] = to_c4(value);
//#else
  for (var i = 0u; i < min(4u, p.columns - n); i++) {
    let to = pixel * p.columns + n + i;
    var value = values[i] + bias[n + i];
//#if RESIDUAL
    value += f32(residual[to]);
//#endif
    c[to] = to_c(value);
  }
//#endif
}
