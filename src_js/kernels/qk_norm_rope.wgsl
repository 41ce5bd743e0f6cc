// RMS norm of each head of q and k, then rotary position embedding, in place, both in one pass.
//
// x [rows, heads * HEAD_DIM] of type F, a view whose rows start at multiples of 4 elements; weight [HEAD_DIM] f32; table [positions,
// HEAD_DIM / 2] of (cos, sin) f32, read from position_begin on. HALF pairs element i with i + HEAD_DIM / 2 (Qwen3), otherwise 2i with
// 2i + 1 (Flux2): (a, b) -> (a cos - b sin, b cos + a sin). With SECOND there is another such view of other rows and heads with a
// weight of its own, in the same buffer or APART. HEAD_DIM / 8 invocations do a head of a row, a workgroup does HEADS of them.

const WORKGROUP: u32 = 256u;
const SHARE: u32 = HEAD_DIM / 8u;
const HEADS: u32 = WORKGROUP / SHARE;

struct Params {
  heads: u32,
  offset: u32,
  stride: u32,
  position_begin: u32,
  item_count: u32,
  second_heads: u32,
  second_offset: u32,
  second_stride: u32,
  second_position_begin: u32,
  second_item_count: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<F>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> table: array<vec4<f32>>;
//#if SECOND
@group(0) @binding(4) var<storage, read> second_weight: array<vec4<f32>>;
//#endif
//#if APART
@group(0) @binding(5) var<storage, read_write> second_x: array<vec4<F>>;
//#endif

var<workgroup> squares: array<f32, WORKGROUP>;

fn load(second: bool, at: u32) -> vec4<f32> {
//#if APART
  if (second) {
    return vec4<f32>(second_x[at]);
  }
//#endif
  return vec4<f32>(x[at]);
}

fn store(second: bool, at: u32, value: vec4<f32>) {
//#if APART
  if (second) {
    second_x[at] = vec4<F>(value);
    return;
  }
//#endif
  x[at] = vec4<F>(value);
}

fn weight_at(second: bool, at: u32) -> vec4<f32> {
//#if SECOND
  if (second) {
    return second_weight[at];
  }
//#endif
  return weight[at];
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let place = index / SHARE;
  let share = index % SHARE;
  let all = (group.y * groups.x + group.x) * HEADS + place;
  let second = all >= p.item_count;
  let item = select(all, all - p.item_count, second);
  let busy = place < HEADS && all < p.item_count + p.second_item_count;
  let heads = max(1u, select(p.heads, p.second_heads, second));
  let row = item / heads;
  let start = (select(p.offset, p.second_offset, second) + row * select(p.stride, p.second_stride, second)) / 4u
    + (item - row * heads) * SHARE * 2u;
//#if HALF
  let place0 = share;
  let place1 = share + SHARE;
//#else
  let place0 = 2u * share;
  let place1 = 2u * share + 1u;
//#endif
  var a = vec4<f32>();
  var b = vec4<f32>();
  if (busy) {
    a = load(second, start + place0);
    b = load(second, start + place1);
  }
  squares[index] = dot(a, a) + dot(b, b);
  workgroupBarrier();
  if (!busy) {
    return;
  }
  var sum = 0.0;
  for (var i = 0u; i < SHARE; i++) {
    sum += squares[place * SHARE + i];
  }
  let root = sqrt(sum / f32(HEAD_DIM) + p.eps);
  a = a / root * weight_at(second, place0);
  b = b / root * weight_at(second, place1);
  let position = select(p.position_begin, p.second_position_begin, second) + row;
  let turn0 = table[(position * SHARE + share) * 2u];
  let turn1 = table[(position * SHARE + share) * 2u + 1u];
  let cosine = vec4<f32>(turn0.xz, turn1.xz);
  let sine = vec4<f32>(turn0.yw, turn1.yw);
//#if HALF
  store(second, start + place0, a * cosine - b * sine);
  store(second, start + place1, b * cosine + a * sine);
//#else
  let even = vec4<f32>(a.xz, b.xz);
  let odd = vec4<f32>(a.yw, b.yw);
  let first = even * cosine - odd * sine;
  let other = odd * cosine + even * sine;
  store(second, start + place0, vec4<f32>(first.x, other.x, first.y, other.y));
  store(second, start + place1, vec4<f32>(first.z, other.z, first.w, other.w));
//#endif
}
