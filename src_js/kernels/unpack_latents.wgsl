// Packed latents to the decoder's input: the batch norm's inverse, then unpatchify.
//
// tokens [height * width, channels * PATCH * PATCH] f32, token = row * width + column, packed channel = (c * PATCH + dy) * PATCH + dx;
// out NHWC [height * PATCH, width * PATCH, channels] of type C with out[y * PATCH + dy, x * PATCH + dx, c] =
// token * scale + mean. scale and mean are f32, one value a packed channel. One invocation an element.

struct Params {
  width: u32,
  channels: u32,
  element_count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> tokens: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<C>;

//#include store

fn element(at: u32) {
  let pixel = at / p.channels;
  let channel = at - pixel * p.channels;
  let out_width = p.width * PATCH;
  let y = pixel / out_width;
  let x = pixel - y * out_width;
  let token = (y / PATCH) * p.width + x / PATCH;
  let packed = (channel * PATCH + y % PATCH) * PATCH + x % PATCH;
  out[at] = to_c(tokens[token * p.channels * PATCH * PATCH + packed] * scale[packed] + mean[packed]);
}

//#include elementwise
