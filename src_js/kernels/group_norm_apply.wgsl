// Group norm, pass 3 of 3: out = (x - mean) * reciprocal deviation * weight + bias, then silu with SILU.
//
// x and out NHWC [pixels, channels] of types A and C; weight and bias [channels] f32; statistics [groups].
// One invocation an element.

struct Params {
  channels: u32,
  group_channels: u32,
  element_count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<A>;
@group(0) @binding(2) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<C>;

//#include store

fn element(at: u32) {
  let channel = at % p.channels;
  let s = statistics[channel / p.group_channels];
  var value = (f32(x[at]) - s.x) * s.y * weight[channel] + bias[channel];
//#if SILU
  value = value / (1.0 + exp(-value));
//#endif
  out[at] = to_c(value);
}

//#include elementwise
