// Group norm, pass 1 of 3: mean and sum of squared deviations of one chunk of one group.
//
// x NHWC [pixels, channels] of type A. Workgroup (chunk, group) covers chunk_pixels pixels times the group's channels
// and writes partial[group * chunks + chunk] = (count, mean, sum of squared deviations, 0). Two passes over the chunk,
// so a mean far from zero costs no precision.

const WORKGROUP: u32 = 256u;

struct Params {
  pixels: u32,
  channels: u32,
  group_channels: u32,
  chunk_pixels: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<A>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>;

//#include reduce

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let begin = group.x * p.chunk_pixels;
  let count = (min(begin + p.chunk_pixels, p.pixels) - begin) * p.group_channels;
  let channel0 = group.y * p.group_channels;
  var sum = 0.0;
  for (var i = index; i < count; i += WORKGROUP) {
    let pixel = i / p.group_channels;
    sum += f32(x[(begin + pixel) * p.channels + channel0 + i - pixel * p.group_channels]);
  }
  let mean = workgroup_sum(index, sum) / f32(count);
  var squares = 0.0;
  for (var i = index; i < count; i += WORKGROUP) {
    let pixel = i / p.group_channels;
    let d = f32(x[(begin + pixel) * p.channels + channel0 + i - pixel * p.group_channels]) - mean;
    squares = fma(d, d, squares);
  }
  let deviations = workgroup_sum(index, squares);
  if (index == 0u) {
    partial[group.y * groups.x + group.x] = vec4<f32>(f32(count), mean, deviations, 0.0);
  }
}
