// A tile of a matrix product in f32: C[m, n] = sum over k of A[m, k] W[n, k].
//
// The including file supplies load_a4(m, k) (four consecutive k), load_codes, load_run and pair_x..w (linear_weights.wgsl) and
// store4(m, n, sums). One workgroup makes TILE_M x TILE_N of C, each invocation THREAD_M rows of QUADS_N quads of it, rows THREADS_Y and
// quads THREADS_X apart. K advances by TILE_K through workgroup memory; the next tile is fetched while this one is multiplied.

var<workgroup> a_tile: array<vec4<f32>, TILE_M * (TILE_K / 4u)>;
var<workgroup> w_tile: array<vec4<f32>, TILE_K * (TILE_N / 4u)>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let m0 = p.row_begin + group.y * TILE_M;
  let n0 = group.x * TILE_N;
  let quad = index % THREADS_X;
  let row = index / THREADS_X;
  let w_quad = index % (TILE_N / 4u);               // what this invocation fetches of W: 2 W_LOADS k of one quad
  let w_k = index / (TILE_N / 4u) * (2u * W_LOADS);
  //#for i in THREAD_M
  //#for j in QUADS_N
  var sum$i_$j = vec4<f32>();
  //#endfor
  //#endfor
  //#for i in A_LOADS
  var a_next$i = load_a4(m0 + (index + $i * WORKGROUP) / (TILE_K / 4u), (index + $i * WORKGROUP) % (TILE_K / 4u) * 4u);
  //#endfor
  //#for i in W_LOADS
  var w_next$i = load_codes(n0 + w_quad * 4u, w_k + 2u * $i);
  //#endfor
  var run = load_run(n0 + w_quad * 4u, w_k);

  for (var k0 = 0u; k0 < p.inner; k0 += TILE_K) {
    //#for i in A_LOADS
    a_tile[index + $i * WORKGROUP] = a_next$i;
    //#endfor
    if (w_k < TILE_K) {
      //#for i in W_LOADS
      {
        let x = pair_x(w_next$i, run);
        let y = pair_y(w_next$i, run);
        let z = pair_z(w_next$i, run);
        let w = pair_w(w_next$i, run);
        w_tile[(w_k + 2u * $i) * (TILE_N / 4u) + w_quad] = vec4<f32>(x.x, y.x, z.x, w.x);
        w_tile[(w_k + 2u * $i + 1u) * (TILE_N / 4u) + w_quad] = vec4<f32>(x.y, y.y, z.y, w.y);
      }
      //#endfor
    }
    workgroupBarrier();
    let next = k0 + TILE_K;
    if (next < p.inner) {
      //#for i in A_LOADS
      a_next$i = load_a4(m0 + (index + $i * WORKGROUP) / (TILE_K / 4u), next + (index + $i * WORKGROUP) % (TILE_K / 4u) * 4u);
      //#endfor
      //#for i in W_LOADS
      w_next$i = load_codes(n0 + w_quad * 4u, next + w_k + 2u * $i);
      //#endfor
      run = load_run(n0 + w_quad * 4u, next + w_k);
    }
//#if ROLLED
    for (var four = 0u; four < TILE_K / 4u; four += K_UNROLL) {
//#else
    {
      const four = 0u;
//#endif
      //#for u in K_UNROLL
      {
        //#for i in THREAD_M
        let a$i = a_tile[(row + $i * THREADS_Y) * (TILE_K / 4u) + four + $u];
        //#endfor
        //#for s in 4
        {
          //#for j in QUADS_N
          let w$j = w_tile[((four + $u) * 4u + $s) * (TILE_N / 4u) + quad + $j * THREADS_X];
          //#endfor
          //#for i in THREAD_M
          //#for j in QUADS_N
          sum$i_$j = fma(vec4<f32>(a$i[$s]), w$j, sum$i_$j);
          //#endfor
          //#endfor
        }
        //#endfor
      }
      //#endfor
    }
    workgroupBarrier();
  }
  //#for i in THREAD_M
  //#for j in QUADS_N
  store4(m0 + row + $i * THREADS_Y, n0 + (quad + $j * THREADS_X) * 4u, sum$i_$j);
  //#endfor
  //#endfor
}
