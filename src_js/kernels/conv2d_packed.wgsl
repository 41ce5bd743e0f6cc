// Convolution as conv2d.wgsl, its products in packed f16 with f32 totals: for f16 maps of order one, channels a multiple of 8.
//
// GPUs that multiply two halves at once do so when both operands are whole words; a scalar spread over a vector is taken apart again.
// So a word holds an even channel and the next: each accumulator keeps the sum over even and over odd channels, and both are added to
// an f32 total after every FOLD_STEPS * TILE_K terms, 64 at most, which bounds the rounding of the short sums. The map's words go
// through workgroup memory as they are; the weight's pairs of rows are laid side by side by conv_weights.wgsl (PAIRS).
// Rows and quads of columns of an invocation lie ROW_THREADS and COLUMN_THREADS apart. Workgroups as in conv2d.wgsl.

//#include conv2d_frame

const FOLD_STEPS: u32 = 64u / TILE_K;
const N_QUAD_COUNT = TILE_N / 4u;

// one more octet a row than is used: neighbouring rows then start in different banks
var<workgroup> a_tile: array<array<array<vec4<u32>, K_PARTS + 1u>, ROW_THREADS>, TILE_M / ROW_THREADS>;
var<workgroup> w_tile: array<array<array<vec4<u32>, COLUMN_THREADS>, N_QUADS>, TILE_K / 2u>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let at = place(group);
  let thread = thread_place(index);
  let column_thread = thread.x;
  let row_thread = thread.y;

  // what this invocation loads: 8 channels of a pixel, whose place is found once: its first tap's element and which taps lie in the map
//#for s in A_LOADS
  let part_$s = (index + $s * WORKGROUP) % K_PARTS;
  let m_$s = (index + $s * WORKGROUP) / K_PARTS;
  let first_$s = first_pixel(at, m_$s);
  let taps_$s = taps_inside(first_$s);
  let begin_$s = (first_$s.y * i32(p.width) + first_$s.x) * i32(p.channels) + i32(part_$s * 8u);
  var a_next_$s = vec4<u32>();
//#endfor
  // and 4 columns of a pair of rows of the weight
//#for s in W_LOADS
  let pair_$s = (index + $s * WORKGROUP) / N_QUAD_COUNT;
  let quad_$s = (index + $s * WORKGROUP) % N_QUAD_COUNT;
  let w_begin_$s = (at.w_row / 2u + pair_$s) * p.w_stride + at.n0 + quad_$s * 4u;
  var w_next_$s = vec4<u32>();
//#endfor

//#for i in M_QUADS
//#for r in 4
//#for j in N_QUADS
  var sum$i_$r_$j = vec4<f32>();
//#for q in 4
  var short$i_$r_$j_$q = vec2<f16>();
//#endfor
//#endfor
//#endfor
//#endfor

  let steps = KERNEL * KERNEL * (p.channel_rows / TILE_K);
  var tap = 0u;
  var tap_x = 0u;
  var channel = 0u;
  var a_step = 0i;
  var w_step = 0u;
  // iteration `step` loads that step and multiplies the one before it
  for (var step = 0u; step <= steps; step++) {
    if (step < steps) {
//#for s in A_LOADS
      a_next_$s = vec4<u32>();
      if (((taps_$s >> tap) & 1u) != 0u && channel + part_$s * 8u < p.channels) {
        a_next_$s = a[u32(begin_$s + a_step) / 8u];
      }
//#endfor
//#for s in W_LOADS
      w_next_$s = w[(w_begin_$s + w_step / 2u) / 4u];
//#endfor
//#include conv2d_step
    }
    if (step > 0u) {
//#for h in K_PARTS
      {
//#for i in M_QUADS
//#for r in 4
        let a$i_$r = a_tile[$i * 4 + $r][row_thread][$h];
//#endfor
//#endfor
//#for k in 4
        {
//#for j in N_QUADS
          let w$j = w_tile[$h * 4 + $k][$j][column_thread];
//#for q in 4
          let b$j_$q = bitcast<vec2<f16>>(w$j[$q]);
//#endfor
//#endfor
//#for i in M_QUADS
//#for r in 4
          {
            let b = bitcast<vec2<f16>>(a$i_$r[$k]);
//#for j in N_QUADS
//#for q in 4
            short$i_$r_$j_$q = fma(b, b$j_$q, short$i_$r_$j_$q);
//#endfor
//#endfor
          }
//#endfor
//#endfor
        }
//#endfor
      }
//#endfor
      if (step % FOLD_STEPS == 0u || step == steps) {
//#for i in M_QUADS
//#for r in 4
//#for j in N_QUADS
        sum$i_$r_$j += vec4<f32>(
//#for q in 4
          f32(short$i_$r_$j_$q.x) + f32(short$i_$r_$j_$q.y),
//#endfor
        );
//#for q in 4
        short$i_$r_$j_$q = vec2<f16>();
//#endfor
//#endfor
//#endfor
//#endfor
      }
    }
    workgroupBarrier();
    if (step < steps) {
//#for s in A_LOADS
      a_tile[m_$s / ROW_THREADS][m_$s % ROW_THREADS][part_$s] = a_next_$s;
//#endfor
//#for s in W_LOADS
      w_tile[pair_$s][quad_$s / COLUMN_THREADS][quad_$s % COLUMN_THREADS] = w_next_$s;
//#endfor
    }
    workgroupBarrier();
  }

//#for i in M_QUADS
//#for r in 4
  {
    let m = row_thread + ($i * 4 + $r) * ROW_THREADS;
    let pixel = at.corner + vec2<u32>(m % TILE_W, m / TILE_W);
//#for j in N_QUADS
    store4(pixel, group.x & 3u, at.n0 + (column_thread + $j * COLUMN_THREADS) * 4u, sum$i_$r_$j);
//#endfor
  }
//#endfor
//#endfor
}
