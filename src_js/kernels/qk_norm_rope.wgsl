// RMS norm of each head of q or k, then rotary position embedding, in place.
//
// x [rows, heads * HEAD_DIM] of type F, a view; weight [HEAD_DIM] f32; table [positions, HEAD_DIM / 2] of (cos, sin) f32, read
// from position_begin on. HALF pairs element i with i + HEAD_DIM / 2 (Qwen3), otherwise 2i with 2i + 1 (Flux2):
// (a, b) -> (a cos - b sin, b cos + a sin). One workgroup of 32 a row and head.

const WORKGROUP: u32 = 32u;

struct Params {
  heads: u32,
  offset: u32,
  stride: u32,
  position_begin: u32,
  item_count: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<F>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<vec2<f32>>;

//#include reduce

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let item = group.y * groups.x + group.x;
  if (item >= p.item_count) {
    return;
  }
  let row = item / p.heads;
  let start = p.offset + row * p.stride + (item - row * p.heads) * HEAD_DIM;
  var squares = 0.0;
  for (var i = index; i < HEAD_DIM; i += WORKGROUP) {
    let value = f32(x[start + i]);
    squares = fma(value, value, squares);
  }
  let root = sqrt(workgroup_sum(index, squares) / f32(HEAD_DIM) + p.eps);
  for (var i = index; i < HEAD_DIM / 2u; i += WORKGROUP) {
//#if HALF
    let first = i;
    let second = i + HEAD_DIM / 2u;
//#else
    let first = 2u * i;
    let second = 2u * i + 1u;
//#endif
    let turn = table[(p.position_begin + row) * (HEAD_DIM / 2u) + i];
    let a = f32(x[start + first]) / root * weight[first];
    let b = f32(x[start + second]) / root * weight[second];
    x[start + first] = F(a * turn.x - b * turn.y);
    x[start + second] = F(b * turn.x + a * turn.y);
  }
}
