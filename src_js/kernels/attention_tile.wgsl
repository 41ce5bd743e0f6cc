// Flash attention in register tiles: what attention.wgsl computes, for the GPUs that can hold more.
//
// Q [queries, heads * HEAD_DIM], K and V [keys, kv heads * HEAD_DIM], O like Q, all of type F, views with an offset and a row stride
// in elements: of Q and K multiples of 8 in f16, else of 4. HEAD_DIM is a multiple of 8. Query head h reads key head h / group_size.
// With CAUSAL, query i sees keys j <= i. Workgroups: queries / (TEAMS * ROWS), heads.
//
// A workgroup of TEAMS teams of LANES invocations takes TEAMS * ROWS queries and walks the keys LANES * 4 at a time. An invocation has
// ROWS queries, TEAMS apart: of their scores 4 keys each, LANES apart, and of O every LANES-th four columns. Q and K pass through
// workgroup memory STEP_WORDS words of 16 bytes a row at a time, V in pieces of V_KEYS keys and V_VECS * LANES fours of columns; each
// piece is fetched into registers while the one before is used, and not touched until it is stored: a use would wait for it. Rows are
// stored with their words exchanged (word w of row r at w ^ r), so that invocations side by side read different banks.
//
// In f16 products are summed in pairs, even and odd elements of the head dimension or even and odd keys in the halves of a vec2, which
// GPUs with packed arithmetic do at once; the two are added in f32 after at most FOLD_WORDS * 8 products for a score and V_KEYS * V_STEPS
// for O. Statistics and O are f32. With SUBGROUPS the LANES invocations of a team lie in one subgroup, side by side.

//#if SUBGROUPS
//#enable subgroups
//#endif

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

//#if F_F16
alias Word = vec4<u32>;                             // 8 halves
alias Weights = vec2<u32>;                          // 4 halves
const WORD: u32 = 8u;
const V_ROWS: u32 = V_KEYS / 2u;                    // keys lie in pairs
//#else
alias Word = vec4<f32>;
alias Weights = vec4<f32>;
const WORD: u32 = 4u;
const V_ROWS: u32 = V_KEYS;
//#endif
const THREADS: u32 = LANES * TEAMS;
const QUERIES: u32 = TEAMS * ROWS;
const KEYS: u32 = LANES * 4u;
const STEPS: u32 = (HEAD_DIM + STEP_WORDS * WORD - 1u) / (STEP_WORDS * WORD);
const V_COLUMNS: u32 = V_VECS * LANES;
const V_STEPS: u32 = KEYS / V_KEYS;
const LOWEST: f32 = -1.0e30;
const LOG2_E: f32 = 1.4426950408889634;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<Word>;
@group(0) @binding(2) var<storage, read> k: array<Word>;
@group(0) @binding(3) var<storage, read> v: array<vec4<F>>;
@group(0) @binding(4) var<storage, read_write> o: array<vec4<F>>;

var<workgroup> tile_q: array<Word, QUERIES * STEP_WORDS>;
var<workgroup> tile_kv: array<Word, max(KEYS * STEP_WORDS, V_ROWS * V_COLUMNS)>;
var<workgroup> weights: array<Weights, QUERIES * LANES>;

//#if F_F16
// A power of two near 1 / sqrt(HEAD_DIM): sums of products as large as scores, so that they fit f16.
const Q_SCALE: f32 = exp2(-ceil(log2(f32(HEAD_DIM)) / 2.0));

fn scaled(word: Word) -> Word {
  let by = vec2<f16>(f16(Q_SCALE));
  return vec4<u32>(
    bitcast<u32>(bitcast<vec2<f16>>(word.x) * by), bitcast<u32>(bitcast<vec2<f16>>(word.y) * by),
    bitcast<u32>(bitcast<vec2<f16>>(word.z) * by), bitcast<u32>(bitcast<vec2<f16>>(word.w) * by),
  );
}
//#else
const Q_SCALE: f32 = 1.0;

fn scaled(word: Word) -> Word {
  return word;
}
//#endif

fn q_word(row: u32, column: u32, head: u32) -> Word {
  if (row < p.queries && column < HEAD_DIM) {
    return q[(p.q_offset + head * HEAD_DIM + row * p.q_stride + column) / WORD];
  }
  return Word();
}

fn k_word(row: u32, column: u32, head: u32) -> Word {
  if (row < p.keys && column < HEAD_DIM) {
    return k[(p.k_offset + head * HEAD_DIM + row * p.k_stride + column) / WORD];
  }
  return Word();
}

fn v_four(row: u32, column: u32, head: u32) -> vec4<F> {
  if (row < p.keys && column < HEAD_DIM) {
    return v[(p.v_offset + head * HEAD_DIM + row * p.v_stride + column) / 4u];
  }
  return vec4<F>();
}

// The weights of a query lie in the order of its invocations: each has 4 keys.
fn key_at(position: u32) -> u32 {
  return position / 4u + position % 4u * LANES;
}

//#if F_F16
fn v_word(key0: u32, row: u32, column: u32, head: u32) -> Word {
  let a = v_four(key0 + key_at(2u * row), column, head);
  let b = v_four(key0 + key_at(2u * row + 1u), column, head);
  return vec4<u32>(bitcast<vec2<u32>>(a), bitcast<vec2<u32>>(b));
}

// Four columns of one key and the same of another, as v_word fetches them, to four pairs.
fn paired(word: Word) -> Word {
  let a = bitcast<vec4<f16>>(word.xy);
  let b = bitcast<vec4<f16>>(word.zw);
  return vec4<u32>(
    bitcast<u32>(vec2<f16>(a.x, b.x)), bitcast<u32>(vec2<f16>(a.y, b.y)),
    bitcast<u32>(vec2<f16>(a.z, b.z)), bitcast<u32>(vec2<f16>(a.w, b.w)),
  );
}

fn stored(weight: vec4<f32>) -> Weights {
  return vec2<u32>(pack2x16float(weight.xy), pack2x16float(weight.zw));
}

fn both(pair: vec2<f16>) -> f32 {
  return f32(pair.x) + f32(pair.y);
}
//#else
fn v_word(key0: u32, row: u32, column: u32, head: u32) -> Word {
  return v_four(key0 + key_at(row), column, head);
}

fn paired(word: Word) -> Word {
  return word;
}

fn stored(weight: vec4<f32>) -> Weights {
  return weight;
}
//#endif

//#if SUBGROUPS
//#else
// A number of each invocation for its team, in the place of the weights.
fn put_partial(row: u32, lane: u32, value: f32) {
//#if F_F16
  weights[row * LANES + (lane ^ (row % LANES))] = vec2<u32>(bitcast<u32>(value), 0u);
//#else
  weights[row * LANES + (lane ^ (row % LANES))] = vec4<f32>(value);
//#endif
}

fn partial(row: u32, lane: u32) -> f32 {
//#if F_F16
  return bitcast<f32>(weights[row * LANES + (lane ^ (row % LANES))].x);
//#else
  return weights[row * LANES + (lane ^ (row % LANES))].x;
//#endif
}
//#endif

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
//#if CAUSAL
  let query0 = p.query_begin + (groups.x - 1u - group.x) * QUERIES;    // the most work first
  let key_end = min(p.keys, query0 + QUERIES);
//#else
  let query0 = p.query_begin + group.x * QUERIES;
  let key_end = p.keys;
//#endif
  let head = group.y;
  let kv_head = head / p.group_size;
  let lane = index % LANES;
  let team = index / LANES;
  let q_exchange = team % STEP_WORDS;
  let k_exchange = lane % STEP_WORDS;
  let p_exchange = team % LANES;
  let exponent = p.scale / Q_SCALE * LOG2_E;

//#for i in ROWS
  var highest$i = LOWEST;
  var total$i = 0.0;
//#for u in V_GROUPS
//#for c in V_VECS
  var o$i_$u_$c = vec4<f32>();
//#endfor
//#endfor
//#endfor
//#for n in Q_LOADS
  let q_row$n = (index + $n * THREADS) / STEP_WORDS;
  let q_column$n = (index + $n * THREADS) % STEP_WORDS;
  let q_place$n = q_row$n * STEP_WORDS + (q_column$n ^ (q_row$n % STEP_WORDS));
  var next_q$n = q_word(query0 + q_row$n, q_column$n * WORD, head);
//#endfor
//#for n in K_LOADS
  let k_row$n = (index + $n * THREADS) / STEP_WORDS;
  let k_column$n = (index + $n * THREADS) % STEP_WORDS;
  let k_place$n = k_row$n * STEP_WORDS + (k_column$n ^ (k_row$n % STEP_WORDS));
  var next_k$n = k_word(k_row$n, k_column$n * WORD, kv_head);
//#endfor
//#for n in V_LOADS
  let v_row$n = (index + $n * THREADS) / V_COLUMNS;
  let v_column$n = (index + $n * THREADS) % V_COLUMNS * 4u;
  var next_v$n = Word();
//#endfor

  for (var key0 = 0u; key0 < key_end; key0 += KEYS) {
//#for i in ROWS
//#for j in 4
    var s$i_$j = 0.0;
//#endfor
//#endfor
    for (var step = 0u; step < STEPS; step++) {
      workgroupBarrier();
      if (STEPS > 1u || key0 == 0u) {               // a single step's Q stays
//#for n in Q_LOADS
        tile_q[q_place$n] = scaled(next_q$n);
//#endfor
      }
//#for n in K_LOADS
      tile_kv[k_place$n] = next_k$n;
//#endfor
      workgroupBarrier();
      if (step + 1u < STEPS) {
//#for n in Q_LOADS
        next_q$n = q_word(query0 + q_row$n, ((step + 1u) * STEP_WORDS + q_column$n) * WORD, head);
//#endfor
//#for n in K_LOADS
        next_k$n = k_word(key0 + k_row$n, ((step + 1u) * STEP_WORDS + k_column$n) * WORD, kv_head);
//#endfor
      } else {
//#for n in V_LOADS
        next_v$n = v_word(key0, v_row$n, v_column$n, kv_head);
//#endfor
      }
//#if F_F16
      for (var begin = 0u; begin < STEP_WORDS; begin += FOLD_WORDS) {
//#for i in ROWS
//#for j in 4
        var t$i_$j = vec2<f16>();
//#endfor
//#endfor
        for (var w = begin; w < begin + FOLD_WORDS; w++) {
//#for i in ROWS
          let q$i = tile_q[(team + $i * TEAMS) * STEP_WORDS + (w ^ q_exchange)];
//#endfor
//#for j in 4
          {
            let k_eight = tile_kv[(lane + $j * LANES) * STEP_WORDS + (w ^ k_exchange)];
//#for e in 4
            let k$e = bitcast<vec2<f16>>(k_eight[$e]);
//#for i in ROWS
            t$i_$j = fma(bitcast<vec2<f16>>(q$i[$e]), k$e, t$i_$j);
//#endfor
//#endfor
          }
//#endfor
        }
//#for i in ROWS
//#for j in 4
        s$i_$j += both(t$i_$j);
//#endfor
//#endfor
      }
//#else
      for (var w = 0u; w < STEP_WORDS; w++) {
//#for i in ROWS
        let q$i = tile_q[(team + $i * TEAMS) * STEP_WORDS + (w ^ q_exchange)];
//#endfor
//#for j in 4
        {
          let k_four = tile_kv[(lane + $j * LANES) * STEP_WORDS + (w ^ k_exchange)];
//#for e in 4
//#for i in ROWS
          s$i_$j = fma(q$i[$e], k_four[$e], s$i_$j);
//#endfor
//#endfor
        }
//#endfor
      }
//#endif
    }

//#if CAUSAL
    if (key0 + KEYS > min(key_end, query0 + 1u)) {
//#else
    if (key0 + KEYS > key_end) {
//#endif
//#for j in 4
      {
        let key = key0 + lane + $j * LANES;
//#for i in ROWS
//#if CAUSAL
        if (key >= key_end || key > query0 + team + $i * TEAMS) {
//#else
        if (key >= key_end) {
//#endif
          s$i_$j = LOWEST;
        }
//#endfor
      }
//#endfor
    }

    // online softmax: the first tile has a key for every query, so `top` is finite from then on
//#for i in ROWS
    var top$i = max(max(s$i_0, s$i_1), max(s$i_2, s$i_3));
//#endfor
//#if SUBGROUPS
//#for b in LOG_LANES
//#for i in ROWS
    top$i = max(top$i, subgroupShuffleXor(top$i, 1u << $b));
//#endfor
//#endfor
    workgroupBarrier();
//#else
//#for i in ROWS
    put_partial(team + $i * TEAMS, lane, top$i);
//#endfor
    workgroupBarrier();
//#for n in LANES
//#for i in ROWS
    top$i = max(top$i, partial(team + $i * TEAMS, $n));
//#endfor
//#endfor
    workgroupBarrier();
//#endif
//#for i in ROWS
    top$i = max(top$i, highest$i);
    let decay$i = exp2((highest$i - top$i) * exponent);
    highest$i = top$i;
    let w$i = exp2((vec4<f32>(s$i_0, s$i_1, s$i_2, s$i_3) - top$i) * exponent);
    total$i = fma(total$i, decay$i, (w$i.x + w$i.y) + (w$i.z + w$i.w));
    weights[(team + $i * TEAMS) * LANES + (lane ^ p_exchange)] = stored(w$i);
//#endfor

//#for u in V_GROUPS
    {
//#for i in ROWS
//#for c in V_VECS
//#if F_F16
//#for x in 4
      var a$i_$c_$x = vec2<f16>();
//#endfor
//#else
      var a$i_$c = vec4<f32>();
//#endif
//#endfor
//#endfor
      for (var step = 0u; step < V_STEPS; step++) {
        if ($u + step > 0u) {
          workgroupBarrier();
        }
//#for n in V_LOADS
        tile_kv[index + $n * THREADS] = paired(next_v$n);
//#endfor
        workgroupBarrier();
        if (step + 1u < V_STEPS) {
//#for n in V_LOADS
          next_v$n = v_word(key0, (step + 1u) * V_ROWS + v_row$n, $u * V_COLUMNS * 4u + v_column$n, kv_head);
//#endfor
        } else if ($u + 1u < V_GROUPS) {
//#for n in V_LOADS
          next_v$n = v_word(key0, v_row$n, ($u + 1u) * V_COLUMNS * 4u + v_column$n, kv_head);
//#endfor
        } else {
          if (STEPS > 1u) {
//#for n in Q_LOADS
            next_q$n = q_word(query0 + q_row$n, q_column$n * WORD, head);
//#endfor
          }
//#for n in K_LOADS
          next_k$n = k_word(key0 + KEYS + k_row$n, k_column$n * WORD, kv_head);
//#endfor
        }
        for (var four = 0u; four < V_KEYS / 4u; four++) {
//#for i in ROWS
          let p$i = weights[(team + $i * TEAMS) * LANES + ((step * (V_KEYS / 4u) + four) ^ p_exchange)];
//#endfor
//#if F_F16
//#for e in 2
//#for c in V_VECS
          {
            let v_pairs = tile_kv[(four * 2u + $e) * V_COLUMNS + $c * LANES + lane];
//#for x in 4
            let v$x = bitcast<vec2<f16>>(v_pairs[$x]);
//#for i in ROWS
            a$i_$c_$x = fma(bitcast<vec2<f16>>(p$i[$e]), v$x, a$i_$c_$x);
//#endfor
//#endfor
          }
//#endfor
//#endfor
//#else
//#for e in 4
//#for c in V_VECS
          {
            let v_columns = tile_kv[(four * 4u + $e) * V_COLUMNS + $c * LANES + lane];
//#for i in ROWS
            a$i_$c = fma(vec4<f32>(p$i[$e]), v_columns, a$i_$c);
//#endfor
          }
//#endfor
//#endfor
//#endif
        }
      }
//#for i in ROWS
//#for c in V_VECS
//#if F_F16
      let sum$i_$c = vec4<f32>(both(a$i_$c_0), both(a$i_$c_1), both(a$i_$c_2), both(a$i_$c_3));
//#else
      let sum$i_$c = a$i_$c;
//#endif
      o$i_$u_$c = fma(o$i_$u_$c, vec4<f32>(decay$i), sum$i_$c);
//#endfor
//#endfor
    }
//#endfor
  }

//#if SUBGROUPS
//#for b in LOG_LANES
//#for i in ROWS
  total$i += subgroupShuffleXor(total$i, 1u << $b);
//#endfor
//#endfor
//#else
  workgroupBarrier();
//#for i in ROWS
  put_partial(team + $i * TEAMS, lane, total$i);
//#endfor
  workgroupBarrier();
//#for i in ROWS
  total$i = 0.0;
  for (var n = 0u; n < LANES; n++) {
    total$i += partial(team + $i * TEAMS, n);
  }
//#endfor
//#endif
//#for i in ROWS
  if (query0 + team + $i * TEAMS < p.queries) {
    let base = (p.o_offset + head * HEAD_DIM + (query0 + team + $i * TEAMS) * p.o_stride) / 4u;
//#for u in V_GROUPS
//#for c in V_VECS
    if (($u * V_COLUMNS + $c * LANES + lane) * 4u < HEAD_DIM) {
      o[base + $u * V_COLUMNS + $c * LANES + lane] = vec4<F>(o$i_$u_$c / total$i);
    }
//#endfor
//#endfor
  }
//#endfor
}
