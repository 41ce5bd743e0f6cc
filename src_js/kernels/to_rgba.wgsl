// The decoder's output to 8-bit pixels: round(clamp(x / 2 + 1/2, 0, 1) * 255), halves to even as numpy rounds.
//
// x NHWC [pixels, 3] f32; out one packed RGBA word a pixel (red in the low byte, alpha 255). One invocation a pixel.

struct Params {
  element_count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

fn element(at: u32) {
  let value = vec3<f32>(x[at * 3u], x[at * 3u + 1u], x[at * 3u + 2u]);
  let level = vec3<u32>(round(clamp(value * 0.5 + 0.5, vec3<f32>(0.0), vec3<f32>(1.0)) * 255.0));
  out[at] = level.r | (level.g << 8u) | (level.b << 16u) | (255u << 24u);
}

//#include elementwise
