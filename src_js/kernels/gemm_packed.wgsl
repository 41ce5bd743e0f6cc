// A tile of a matrix product in packed f16 with f32 totals: C[m, n] = sum over k of A[m, k] W[n, k].
//
// GPUs that multiply two halves at once do so when both operands are whole words; a scalar spread over a vector is taken apart
// again. So a word holds an even k and the next: each accumulator keeps the sum over even and over odd k, and both are added to an f32
// total after every 64 k, which bounds the rounding of the short sums.
// The including file supplies load_a8(m, k) (eight consecutive k as packed halves), load_codes, load_run and pair_x..w
// (linear_weights.wgsl, HALVES) and store4(m, n, sums). One workgroup makes TILE_M x TILE_N of C, each invocation THREAD_M rows of QUADS_N
// quads of it, rows THREADS_Y and quads THREADS_X apart. K advances by TILE_K (32 or 64) through workgroup memory; the next tile is fetched
// while this one is multiplied.

const FOLD_K: u32 = 64u;
const A_STRIDE: u32 = TILE_K / 8u + 1u;             // padded against bank conflicts

var<workgroup> a_tile: array<vec4<u32>, TILE_M * A_STRIDE>;
var<workgroup> w_tile: array<vec4<u32>, TILE_K / 2u * (TILE_N / 4u)>;

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
  var total$i_$j = vec4<f32>();
  var short$i_$j_x = vec2<f16>();
  var short$i_$j_y = vec2<f16>();
  var short$i_$j_z = vec2<f16>();
  var short$i_$j_w = vec2<f16>();
  //#endfor
  //#endfor
  //#for i in A_LOADS
  var a_next$i = load_a8(m0 + (index + $i * WORKGROUP) / (TILE_K / 8u), (index + $i * WORKGROUP) % (TILE_K / 8u) * 8u);
  //#endfor
  //#for i in W_LOADS
  var w_next$i = load_codes(n0 + w_quad * 4u, w_k + 2u * $i);
  //#endfor
  var run = load_run(n0 + w_quad * 4u, w_k);

  for (var k0 = 0u; k0 < p.inner; k0 += TILE_K) {
    //#for i in A_LOADS
    a_tile[(index + $i * WORKGROUP) / (TILE_K / 8u) * A_STRIDE + (index + $i * WORKGROUP) % (TILE_K / 8u)] = a_next$i;
    //#endfor
    //#for i in W_LOADS
    w_tile[(w_k / 2u + $i) * (TILE_N / 4u) + w_quad] = vec4<u32>(
      bitcast<u32>(pair_x(w_next$i, run)), bitcast<u32>(pair_y(w_next$i, run)),
      bitcast<u32>(pair_z(w_next$i, run)), bitcast<u32>(pair_w(w_next$i, run)));
    //#endfor
    workgroupBarrier();
    let next = k0 + TILE_K;
    if (next < p.inner) {
      //#for i in A_LOADS
      a_next$i = load_a8(m0 + (index + $i * WORKGROUP) / (TILE_K / 8u), next + (index + $i * WORKGROUP) % (TILE_K / 8u) * 8u);
      //#endfor
      //#for i in W_LOADS
      w_next$i = load_codes(n0 + w_quad * 4u, next + w_k + 2u * $i);
      //#endfor
      run = load_run(n0 + w_quad * 4u, next + w_k);
    }
//#if ROLLED
    for (var octet = 0u; octet < TILE_K / 8u; octet += K_UNROLL) {
//#else
    {
      const octet = 0u;
//#endif
      //#for u in K_UNROLL
      {
        //#for i in THREAD_M
        let a$i = a_tile[(row + $i * THREADS_Y) * A_STRIDE + octet + $u];
        //#endfor
        //#for s in 4
        {
          //#for j in QUADS_N
          let w$j = w_tile[((octet + $u) * 4u + $s) * (TILE_N / 4u) + quad + $j * THREADS_X];
          let w$j_x = bitcast<vec2<f16>>(w$j.x);
          let w$j_y = bitcast<vec2<f16>>(w$j.y);
          let w$j_z = bitcast<vec2<f16>>(w$j.z);
          let w$j_w = bitcast<vec2<f16>>(w$j.w);
          //#endfor
          //#for i in THREAD_M
          {
            let a = bitcast<vec2<f16>>(a$i[$s]);
            //#for j in QUADS_N
            short$i_$j_x = fma(a, w$j_x, short$i_$j_x);
            short$i_$j_y = fma(a, w$j_y, short$i_$j_y);
            short$i_$j_z = fma(a, w$j_z, short$i_$j_z);
            short$i_$j_w = fma(a, w$j_w, short$i_$j_w);
            //#endfor
          }
          //#endfor
        }
        //#endfor
      }
      //#endfor
    }
    if (next % FOLD_K == 0u || next >= p.inner) {
      //#for i in THREAD_M
      //#for j in QUADS_N
      {
        let x = vec2<f32>(short$i_$j_x);
        let y = vec2<f32>(short$i_$j_y);
        let z = vec2<f32>(short$i_$j_z);
        let w = vec2<f32>(short$i_$j_w);
        total$i_$j += vec4<f32>(x.x + x.y, y.x + y.y, z.x + z.y, w.x + w.y);
        short$i_$j_x = vec2<f16>();
        short$i_$j_y = vec2<f16>();
        short$i_$j_z = vec2<f16>();
        short$i_$j_w = vec2<f16>();
      }
      //#endfor
      //#endfor
    }
    workgroupBarrier();
  }
  //#for i in THREAD_M
  //#for j in QUADS_N
  store4(m0 + row + $i * THREADS_Y, n0 + (quad + $j * THREADS_X) * 4u, total$i_$j);
  //#endfor
  //#endfor
}
