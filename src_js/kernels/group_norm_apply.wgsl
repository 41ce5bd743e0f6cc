// Group norm, pass 3 of 3: out = (x - mean) * reciprocal deviation * weight + bias, then silu with SILU.
//
// x and out NHWC [pixels, channels] of types A and C, channels a multiple of 4; with IN_PLACE they are one map. weight and bias
// [channels] f32; statistics [groups] as group_norm_combine.wgsl writes them. Workgroups as in group_norm_partial.wgsl: an
// invocation keeps the factors of its quad of channels.

const WORKGROUP: u32 = 256u;

struct Params {
  pixels: u32,
  channels: u32,
  group_channels: u32,
  chunk_pixels: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
//#if IN_PLACE
@group(0) @binding(1) var<storage, read_write> x: array<vec4<A>>;
//#else
@group(0) @binding(1) var<storage, read> x: array<vec4<A>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<C>>;
//#endif
@group(0) @binding(2) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;

//#include store

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let all_quads = p.channels / 4u;
  let quads = min(all_quads - group.y * WORKGROUP, WORKGROUP);
  let lanes = WORKGROUP / quads;
  let quad = group.y * WORKGROUP + index % quads;
  let lane = index / quads;
  if (lane >= lanes) {
    return;
  }
  var mean = vec4<f32>();
  var scale = vec4<f32>();
  for (var i = 0u; i < 4u; i++) {
    let s = statistics[(quad * 4u + i) / p.group_channels];
    mean[i] = s.x;
    scale[i] = s.y;
  }
  scale *= weight[quad];
  let shift = bias[quad];
  let begin = group.x * p.chunk_pixels;
  let end = min(begin + p.chunk_pixels, p.pixels);
  for (var pixel = begin + lane; pixel < end; pixel += lanes) {
    let at = pixel * all_quads + quad;
    var value = fma(vec4<f32>(x[at]) - mean, scale, shift);
//#if SILU
    value = value / (1.0 + exp(-value));
//#endif
//#if IN_PLACE
    x[at] = to_c4(value);
//#else
    out[at] = to_c4(value);
//#endif
  }
}
