// Convolution, stride 1, zero "same" padding, as an implicit matrix product: pixels x output channels, summed over taps and channels.
//
// Input NHWC [height, width, channels] of type A, channels a multiple of 4 (of 8 with A_WIDE: 16 bytes a load). Weight [taps *
// channel_rows, w_stride] of type F as conv_weights.wgsl lays it out: row = tap * channel_rows + channel, zeros beyond the channels.
// Output NHWC [height, width, columns] of type C: + bias[n], and with RESIDUAL + residual (laid out as the output).
// KERNEL 1 or 3; with FOLD, KERNEL 2, the output is [2 height, 2 width, columns]: a 3x3 convolution of the map doubled by nearest
// neighbour, where the pixels of each parity (y % 2, x % 2) are a 2x2 convolution of the map itself with weights of their own.
//
// A workgroup makes TILE_W x TILE_H pixels by TILE_N columns, an invocation 4 M_QUADS pixels by 4 N_QUADS columns; steps of TILE_K
// channels of one tap go through workgroup memory, the next step's loads in flight meanwhile. Products and sums are f32, and so are
// the tiles: converting once beats converting at each use. They are nested arrays read with literal indices, as the compiler bounds
// every other index and would do so at each load. INTERLEAVED deals invocations out in blocks of 8 columns x 4 rows whose neighbours
// share what they read; it needs COLUMN_THREADS % 8 = ROW_THREADS % 4 = 0.
// Workgroups: columns / TILE_N (times 4 parities with FOLD), tiles of the map from tile_begin on.

//#include conv2d_frame

const N_PARTS = TILE_N / 8u;
// loads of 8 elements that fill a step's tiles
const A_CHUNKS = TILE_M * K_PARTS;
const W_CHUNKS = TILE_K * N_PARTS;
const A_EVEN = A_CHUNKS % WORKGROUP == 0u;
const W_EVEN = W_CHUNKS % WORKGROUP == 0u;

var<workgroup> a_tile: array<array<array<array<vec4<f32>, ROW_THREADS>, M_QUADS>, 8>, K_PARTS>;
var<workgroup> w_tile: array<array<array<vec4<f32>, COLUMN_THREADS>, N_QUADS>, TILE_K>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let at = place(group);
  let thread = thread_place(index);
  let column_thread = thread.x;
  let row_thread = thread.y;

  // what this invocation loads: 8 channels of a pixel, whose place is found once: its first tap's element and which taps lie in the map
//#for s in A_LOADS
  let part_$s = (index + $s * WORKGROUP) % K_PARTS;
  let m_$s = ((index + $s * WORKGROUP) / K_PARTS) % TILE_M;
  let first_$s = first_pixel(at, m_$s);
  let taps_$s = taps_inside(first_$s);
  let begin_$s = (first_$s.y * i32(p.width) + first_$s.x) * i32(p.channels) + i32(part_$s * 8u);
//#if A_WIDE
  var a_next_$s = vec4<u32>();
//#else
  var a_low_$s = vec4<A>();
  var a_high_$s = vec4<A>();
//#endif
//#endfor
  // and 8 columns of a row of the weight
//#for s in W_LOADS
  let k_$s = (index + $s * WORKGROUP) / N_PARTS;
  let n_$s = ((index + $s * WORKGROUP) % N_PARTS) * 2u;
  let w_begin_$s = (at.w_row + k_$s) * p.w_stride + at.n0 + n_$s * 4u;
//#if F_F16
  var w_next_$s = vec4<u32>();
//#else
  var w_low_$s = vec4<F>();
  var w_high_$s = vec4<F>();
//#endif
//#endfor

//#for i in M_QUADS
//#for r in 4
//#for j in N_QUADS
  var sum$i_$r_$j = vec4<f32>();
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
//#if A_WIDE
      a_next_$s = vec4<u32>();
//#else
      a_low_$s = vec4<A>();
      a_high_$s = vec4<A>();
//#endif
      if (((taps_$s >> tap) & 1u) != 0u && channel + part_$s * 8u < p.channels) {
        let element = u32(begin_$s + a_step);
//#if A_WIDE
        a_next_$s = a[element / 8u];
//#else
        a_low_$s = a[element / 4u];
        if (channel + part_$s * 8u + 4u < p.channels) {
          a_high_$s = a[element / 4u + 1u];
        }
//#endif
      }
//#endfor
//#for s in W_LOADS
      if (W_EVEN || k_$s < TILE_K) {
//#if F_F16
        w_next_$s = w[(w_begin_$s + w_step) / 8u];
//#else
        w_low_$s = w[(w_begin_$s + w_step) / 4u];
        w_high_$s = w[(w_begin_$s + w_step) / 4u + 1u];
//#endif
      }
//#endfor
//#include conv2d_step
    }
    if (step > 0u) {
//#for h in K_PARTS
//#for k in 8
      {
//#for i in M_QUADS
        let a$i = a_tile[$h][$k][$i][row_thread];
//#endfor
//#for j in N_QUADS
        let b$j = w_tile[$h * 8 + $k][$j][column_thread];
//#endfor
//#for i in M_QUADS
//#for r in 4
//#for j in N_QUADS
        sum$i_$r_$j = fma(vec4<f32>(a$i[$r]), b$j, sum$i_$r_$j);
//#endfor
//#endfor
//#endfor
      }
//#endfor
//#endfor
    }
    workgroupBarrier();
    if (step < steps) {
//#for s in A_LOADS
      if (A_EVEN || index + $s * WORKGROUP < A_CHUNKS) {
//#if A_WIDE
        let low = bitcast<vec4<A>>(a_next_$s.xy);
        let high = bitcast<vec4<A>>(a_next_$s.zw);
//#else
        let low = a_low_$s;
        let high = a_high_$s;
//#endif
//#for k in 4
        a_tile[part_$s][$k][m_$s / (4u * ROW_THREADS)][(m_$s / 4u) % ROW_THREADS][m_$s & 3u] = f32(low[$k]);
        a_tile[part_$s][$k + 4][m_$s / (4u * ROW_THREADS)][(m_$s / 4u) % ROW_THREADS][m_$s & 3u] = f32(high[$k]);
//#endfor
      }
//#endfor
//#for s in W_LOADS
      if (W_EVEN || k_$s < TILE_K) {
//#if F_F16
        let low = bitcast<vec4<F>>(w_next_$s.xy);
        let high = bitcast<vec4<F>>(w_next_$s.zw);
//#else
        let low = w_low_$s;
        let high = w_high_$s;
//#endif
        w_tile[k_$s][n_$s / COLUMN_THREADS][n_$s % COLUMN_THREADS] = vec4<f32>(low);
        w_tile[k_$s][(n_$s + 1u) / COLUMN_THREADS][(n_$s + 1u) % COLUMN_THREADS] = vec4<f32>(high);
      }
//#endfor
    }
    workgroupBarrier();
  }

//#for i in M_QUADS
  let row$i = (row_thread + $i * ROW_THREADS) * 4u;
//#for j in N_QUADS
  {
    let n = at.n0 + (column_thread + $j * COLUMN_THREADS) * 4u;
//#for r in 4
    store4(at.corner + vec2<u32>((row$i + $r) % TILE_W, (row$i + $r) / TILE_W), group.x & 3u, n, sum$i_$r_$j);
//#endfor
  }
//#endfor
//#endfor
}
