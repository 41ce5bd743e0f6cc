// The tiled matrix product shared by linear.wgsl and conv2d.wgsl: C[m, n] = sum over k of A[m, k] W[n, k].
//
// The including file supplies load_a4(m, k), load_w4(n, k) (four consecutive k, zero outside) and store4(m, n, values)
// (four consecutive n). One workgroup of 256 makes a TILE_M x TILE_N tile of C, each invocation 4 x 4 of it: 64 x 64, for
// narrow outputs 128 x 32 or 256 x 16. K advances 16 at a time (8 in the narrowest tile) through workgroup memory.
// Products and sums are f32.

const TILE_M: u32 = 4096u / TILE_N;
const TILE_K: u32 = select(16u, 8u, TILE_N == 16u);   // keeps both tiles within 16 KiB
const COLUMN_THREADS: u32 = TILE_N / 4u;
const K_VEC4: u32 = TILE_K / 4u;

var<workgroup> a_tile: array<F, TILE_K * TILE_M>;
var<workgroup> w_tile: array<F, TILE_K * TILE_N>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let m0 = p.row_begin + group.y * TILE_M;
  let n0 = group.x * TILE_N;
  let row = (index / COLUMN_THREADS) * 4u;
  let column = (index % COLUMN_THREADS) * 4u;
  var sum = array<vec4<f32>, 4>(vec4<f32>(), vec4<f32>(), vec4<f32>(), vec4<f32>());

  for (var k0 = 0u; k0 < p.inner; k0 += TILE_K) {
    for (var i = index; i < TILE_M * K_VEC4; i += 256u) {
      let k = (i % K_VEC4) * 4u;
      let a = load_a4(m0 + i / K_VEC4, k0 + k);
      for (var j = 0u; j < 4u; j++) {
        a_tile[(k + j) * TILE_M + i / K_VEC4] = a[j];
      }
    }
    if (index < TILE_N * K_VEC4) {
      let k = (index % K_VEC4) * 4u;
      let w = load_w4(n0 + index / K_VEC4, k0 + k);
      for (var j = 0u; j < 4u; j++) {
        w_tile[(k + j) * TILE_N + index / K_VEC4] = w[j];
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE_K; k++) {
      let at = k * TILE_M + row;
      let wt = k * TILE_N + column;
      let b = vec4<f32>(f32(w_tile[wt]), f32(w_tile[wt + 1u]), f32(w_tile[wt + 2u]), f32(w_tile[wt + 3u]));
      sum[0] = fma(vec4<f32>(f32(a_tile[at])), b, sum[0]);
      sum[1] = fma(vec4<f32>(f32(a_tile[at + 1u])), b, sum[1]);
      sum[2] = fma(vec4<f32>(f32(a_tile[at + 2u])), b, sum[2]);
      sum[3] = fma(vec4<f32>(f32(a_tile[at + 3u])), b, sum[3]);
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    store4(m0 + row + i, n0 + column, sum[i]);
  }
}
