// Group norm, pass 2 of 3: the chunks of each group become its mean and 1 / sqrt(variance + eps) (Chan et al. 1979).
//
// partial [groups, chunks] of (count, mean, sum of squared deviations, -), statistics [groups] of (mean, reciprocal
// deviation). One workgroup a group.

const WORKGROUP: u32 = 256u;

struct Params {
  chunks: u32,
  total: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2<f32>>;

//#include reduce

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let start = group.x * p.chunks;
  var weighted = 0.0;
  for (var i = index; i < p.chunks; i += WORKGROUP) {
    let part = partial[start + i];
    weighted = fma(part.y, part.x / f32(p.total), weighted);
  }
  let mean = workgroup_sum(index, weighted);
  var squares = 0.0;
  for (var i = index; i < p.chunks; i += WORKGROUP) {
    let part = partial[start + i];
    let d = part.y - mean;
    squares += part.z + part.x * d * d;
  }
  let variance = workgroup_sum(index, squares) / f32(p.total);
  if (index == 0u) {
    statistics[group.x] = vec2<f32>(mean, 1.0 / sqrt(variance + p.eps));
  }
}
