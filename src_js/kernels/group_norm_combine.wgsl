// Group norm, pass 2 of 3: the chunks and channels of each group become its mean and 1 / sqrt(variance + eps) (Chan et al. 1979).
//
// partial [chunks, 2, channels] as group_norm_partial.wgsl writes it, statistics [groups] of (mean, reciprocal deviation).
// One workgroup a group. Means are summed as differences to the first one, so that a mean far from zero costs no precision.

const WORKGROUP: u32 = 256u;

struct Params {
  pixels: u32,
  channels: u32,
  group_channels: u32,
  chunk_pixels: u32,
  chunks: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2<f32>>;

//#include reduce

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let channel0 = group.x * p.group_channels;
  let total = f32(p.pixels * p.group_channels);
  let shift = partial[channel0];
  var weighted = 0.0;
  for (var i = index; i < p.chunks * p.group_channels; i += WORKGROUP) {
    let chunk = i / p.group_channels;
    let at = chunk * 2u * p.channels + channel0 + i - chunk * p.group_channels;
    weighted = fma(partial[at] - shift, chunk_pixels(chunk) / total, weighted);
  }
  let mean = shift + workgroup_sum(index, weighted);
  var squares = 0.0;
  for (var i = index; i < p.chunks * p.group_channels; i += WORKGROUP) {
    let chunk = i / p.group_channels;
    let at = chunk * 2u * p.channels + channel0 + i - chunk * p.group_channels;
    let d = partial[at] - mean;
    squares += partial[at + p.channels] + chunk_pixels(chunk) * d * d;
  }
  let variance = workgroup_sum(index, squares) / total;
  if (index == 0u) {
    statistics[group.x] = vec2<f32>(mean, 1.0 / sqrt(variance + p.eps));
  }
}

/// Pixels of a chunk: the last may have fewer.
fn chunk_pixels(chunk: u32) -> f32 {
  return f32(min(p.chunk_pixels, p.pixels - chunk * p.chunk_pixels));
}
