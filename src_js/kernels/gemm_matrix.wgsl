// A tile of a matrix product on subgroup matrices of 16 x 16 x 16: f16 products, f32 sums.
//
// The including file supplies load_a8(m, k) (eight consecutive k as packed halves), load_codes, load_run and pair_x..w
// (linear_weights.wgsl, HALVES) and store4(m, n, sums). One workgroup of 32 SUBGROUPS_M SUBGROUPS_N invocations makes TILE_M x TILE_N of C, each
// subgroup (of 32) MATRICES_M x MATRICES_N matrices of it. K advances by TILE_K through workgroup memory, whose rows are padded against
// bank conflicts; the next tile is fetched while this one is multiplied. Sums leave through workgroup memory, a matrix a subgroup.

//#enable f16
//#enable subgroups
//#enable chromium_experimental_subgroup_matrix

const SIDE: u32 = 16u;
const A_STRIDE: u32 = TILE_K + 8u;
const W_STRIDE: u32 = TILE_N + 8u;

var<workgroup> a_tile: array<f16, TILE_M * A_STRIDE>;
var<workgroup> w_tile: array<f16, TILE_K * W_STRIDE>;
var<workgroup> sums: array<f32, SUBGROUPS_M * SUBGROUPS_N * SIDE * SIDE>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let m0 = p.row_begin + group.y * TILE_M;
  let n0 = group.x * TILE_N;
  let row = subgroup / SUBGROUPS_N * (MATRICES_M * SIDE);
  let column = subgroup % SUBGROUPS_N * (MATRICES_N * SIDE);
  let w_quad = index % (TILE_N / 4u);               // what this invocation fetches of W: 2 W_LOADS k of one quad
  let w_k = index / (TILE_N / 4u) * (2u * W_LOADS);
  //#for i in MATRICES_M
  //#for j in MATRICES_N
  var sum$i_$j = subgroup_matrix_result<f32, SIDE, SIDE>();
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
    {
      let to = (index + $i * WORKGROUP) / (TILE_K / 8u) * A_STRIDE + (index + $i * WORKGROUP) % (TILE_K / 8u) * 8u;
      //#for s in 4
      let halves$s = bitcast<vec2<f16>>(a_next$i[$s]);
      a_tile[to + 2u * $s] = halves$s.x;
      a_tile[to + 2u * $s + 1u] = halves$s.y;
      //#endfor
    }
    //#endfor
    //#for i in W_LOADS
    {
      let x = pair_x(w_next$i, run);
      let y = pair_y(w_next$i, run);
      let z = pair_z(w_next$i, run);
      let w = pair_w(w_next$i, run);
      let to = (w_k + 2u * $i) * W_STRIDE + w_quad * 4u;
      w_tile[to] = x.x;
      w_tile[to + 1u] = y.x;
      w_tile[to + 2u] = z.x;
      w_tile[to + 3u] = w.x;
      w_tile[to + W_STRIDE] = x.y;
      w_tile[to + W_STRIDE + 1u] = y.y;
      w_tile[to + W_STRIDE + 2u] = z.y;
      w_tile[to + W_STRIDE + 3u] = w.y;
    }
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
    //#for k in K_STEPS
    {
      //#for i in MATRICES_M
      let a$i = subgroupMatrixLoad<subgroup_matrix_left<f16, SIDE, SIDE>>(
        &a_tile, (row + $i * SIDE) * A_STRIDE + $k * SIDE, false, A_STRIDE);
      //#endfor
      //#for j in MATRICES_N
      let w$j = subgroupMatrixLoad<subgroup_matrix_right<f16, SIDE, SIDE>>(
        &w_tile, $k * SIDE * W_STRIDE + column + $j * SIDE, false, W_STRIDE);
      //#endfor
      //#for i in MATRICES_M
      //#for j in MATRICES_N
      sum$i_$j = subgroupMatrixMultiplyAccumulate(a$i, w$j, sum$i_$j);
      //#endfor
      //#endfor
    }
    //#endfor
    workgroupBarrier();
  }
  let from_ = subgroup * SIDE * SIDE + lane * 8u;
  //#for i in MATRICES_M
  //#for j in MATRICES_N
  subgroupMatrixStore(&sums, subgroup * SIDE * SIDE, sum$i_$j, false, SIDE);
  workgroupBarrier();
  {
    let m = m0 + row + $i * SIDE + lane / 2u;
    let n = n0 + column + $j * SIDE + lane % 2u * 8u;
    store4(m, n, vec4<f32>(sums[from_], sums[from_ + 1u], sums[from_ + 2u], sums[from_ + 3u]));
    store4(m, n + 4u, vec4<f32>(sums[from_ + 4u], sums[from_ + 5u], sums[from_ + 6u], sums[from_ + 7u]));
  }
  workgroupBarrier();
  //#endfor
  //#endfor
}
