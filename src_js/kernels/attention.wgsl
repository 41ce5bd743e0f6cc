// Flash attention: O = softmax(scale Q K^T) V for one head a workgroup row, scores never stored (Dao et al. 2022).
//
// Q [queries, heads * HEAD_DIM], K and V [keys, kv heads * HEAD_DIM], O like Q, all of type F, views with an offset and a
// row stride in elements (multiples of 4). Query head h reads key head h / group_size. With CAUSAL, query i sees
// keys j <= i. keys counts only the keys anybody may see, so a padded prompt needs no mask. HEAD_DIM is a multiple of 8.
// A workgroup of 256 takes 32 queries and walks the keys 32 at a time; scores, statistics and sums are f32.
// Workgroups: queries / 32, heads.

struct Params {
  queries: u32,
  query_begin: u32,
  keys: u32,
  group_size: u32,
  q_offset: u32,
  q_stride: u32,
  k_offset: u32,
  k_stride: u32,
  v_offset: u32,
  v_stride: u32,
  o_offset: u32,
  o_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<F>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<F>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<F>>;
@group(0) @binding(4) var<storage, read_write> o: array<vec4<F>>;

const ROWS: u32 = 32u;
const CHUNK: u32 = 8u;                              // vec4s of the head dimension held in workgroup memory at a time
const STRIDE: u32 = CHUNK + 1u;                     // padded against bank conflicts
const HEAD_VEC4: u32 = HEAD_DIM / 4u;
const CHUNKS: u32 = (HEAD_VEC4 + CHUNK - 1u) / CHUNK;
const LOWEST: f32 = -3.0e38;

var<workgroup> left: array<vec4<F>, ROWS * STRIDE>;   // a chunk of Q
var<workgroup> right: array<vec4<F>, ROWS * STRIDE>;  // a chunk of K, then of V
var<workgroup> score: array<f32, ROWS * (ROWS + 1u)>;
var<workgroup> partial: array<f32, ROWS * 8u>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let query0 = p.query_begin + group.x * ROWS;
  let q_head = p.q_offset + group.y * HEAD_DIM;
  let kv_head = (group.y / p.group_size) * HEAD_DIM;
  let row = index / 8u;                               // this invocation's query in the softmax and in O
  let lane = index % 8u;                              // and its eighth of the keys or of the head dimension
  let score_row = (index / 16u) * 2u;                 // its 2 x 2 corner of the score tile
  let score_column = (index % 16u) * 2u;
//#if CAUSAL
  let key_end = min(p.keys, query0 + ROWS);
//#else
  let key_end = p.keys;
//#endif

  var sum = array<vec4<f32>, CHUNKS>();
  var highest = LOWEST;
  var total = 0.0;

  for (var key0 = 0u; key0 < key_end; key0 += ROWS) {
    var s00 = 0.0;
    var s01 = 0.0;
    var s10 = 0.0;
    var s11 = 0.0;
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      let column = chunk * CHUNK + lane;
      var q_value = vec4<F>();
      var k_value = vec4<F>();
      if (column < HEAD_VEC4 && query0 + row < p.queries) {
        q_value = q[(q_head + (query0 + row) * p.q_stride) / 4u + column];
      }
      if (column < HEAD_VEC4 && key0 + row < p.keys) {
        k_value = k[(p.k_offset + kv_head + (key0 + row) * p.k_stride) / 4u + column];
      }
      left[row * STRIDE + lane] = q_value;
      right[row * STRIDE + lane] = k_value;
      workgroupBarrier();
      for (var i = 0u; i < CHUNK; i++) {
        let a0 = vec4<f32>(left[score_row * STRIDE + i]);
        let a1 = vec4<f32>(left[(score_row + 1u) * STRIDE + i]);
        let b0 = vec4<f32>(right[score_column * STRIDE + i]);
        let b1 = vec4<f32>(right[(score_column + 1u) * STRIDE + i]);
        s00 += dot(a0, b0);
        s01 += dot(a0, b1);
        s10 += dot(a1, b0);
        s11 += dot(a1, b1);
      }
      workgroupBarrier();
    }
    let corner = score_row * (ROWS + 1u) + score_column;
    score[corner] = s00 * p.scale;
    score[corner + 1u] = s01 * p.scale;
    score[corner + ROWS + 1u] = s10 * p.scale;
    score[corner + ROWS + 2u] = s11 * p.scale;
    workgroupBarrier();

    // online softmax: every invocation of a row ends with the same running maximum and sum
    var mine = vec4<f32>(LOWEST);
    for (var i = 0u; i < 4u; i++) {
      let key = key0 + lane * 4u + i;
//#if CAUSAL
      if (key < key_end && key <= query0 + row) {
//#else
      if (key < key_end) {
//#endif
        mine[i] = score[row * (ROWS + 1u) + lane * 4u + i];
      }
    }
    partial[index] = max(max(mine.x, mine.y), max(mine.z, mine.w));
    workgroupBarrier();
    var top = highest;
    for (var i = 0u; i < 8u; i++) {
      top = max(top, partial[row * 8u + i]);
    }
    workgroupBarrier();
    let weight = select(exp(mine - top), vec4<f32>(), mine == vec4<f32>(LOWEST));
    for (var i = 0u; i < 4u; i++) {
      score[row * (ROWS + 1u) + lane * 4u + i] = weight[i];
    }
    partial[index] = weight.x + weight.y + weight.z + weight.w;
    workgroupBarrier();
    let keys_here = min(ROWS, key_end - key0);
    let decay = exp(highest - top);
    highest = top;
    total *= decay;
    for (var i = 0u; i < 8u; i++) {
      total += partial[row * 8u + i];
    }

    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      let column = chunk * CHUNK + lane;
      var v_value = vec4<F>();
      if (column < HEAD_VEC4 && key0 + row < p.keys) {
        v_value = v[(p.v_offset + kv_head + (key0 + row) * p.v_stride) / 4u + column];
      }
      right[row * STRIDE + lane] = v_value;
      workgroupBarrier();
      var acc = sum[chunk] * decay;
      for (var i = 0u; i < keys_here; i++) {
        acc = fma(vec4<f32>(score[row * (ROWS + 1u) + i]), vec4<f32>(right[i * STRIDE + lane]), acc);
      }
      sum[chunk] = acc;
      workgroupBarrier();
    }
  }

  if (query0 + row < p.queries) {
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      let column = chunk * CHUNK + lane;
      if (column < HEAD_VEC4) {
        o[(p.o_offset + group.y * HEAD_DIM + (query0 + row) * p.o_stride) / 4u + column] = vec4<F>(sum[chunk] / total);
      }
    }
  }
}
