// What a picture in the making will be, small: the estimate of its clean latents, denormalised, unpatchified and averaged.
//
// x, before [height * width, channels * PATCH * PATCH] f32, latents after and before a step, token = row * width + column, packed
// channel = (c * PATCH + dy) * PATCH + dx. The estimate goes on along the step's line by ahead[0] times its length:
// (x + ahead * (x - before)) * scale + mean, scale and mean f32, one value a packed channel. out NHWC [out_height, out_width, channels]
// of type C: the mean over rows floor(y * h / out_height) .. ceil((y + 1) * h / out_height) - 1 of the map of h = height * PATCH rows,
// and columns likewise, so that any size covers the whole map. One invocation an element.

struct Params {
  width: u32,
  height: u32,
  channels: u32,
  out_width: u32,
  out_height: u32,
  element_count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> before: array<f32>;
@group(0) @binding(3) var<storage, read> ahead: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<C>;

//#include store

// The part [x, y) of `length` that falls to the `at`-th of `parts`.
fn range(at: u32, parts: u32, length: u32) -> vec2<u32> {
  return vec2<u32>((at * length) / parts, ((at + 1u) * length + parts - 1u) / parts);
}

fn element(at: u32) {
  let pixel = at / p.channels;
  let channel = at - pixel * p.channels;
  let rows = range(pixel / p.out_width, p.out_height, p.height * PATCH);
  let columns = range(pixel % p.out_width, p.out_width, p.width * PATCH);
  var sum = 0.0;
  for (var row = rows.x; row < rows.y; row++) {
    for (var column = columns.x; column < columns.y; column++) {
      let token = (row / PATCH) * p.width + column / PATCH;
      let packed = (channel * PATCH + row % PATCH) * PATCH + column % PATCH;
      let source = token * p.channels * PATCH * PATCH + packed;
      let clean = x[source] + ahead[0] * (x[source] - before[source]);
      sum += clean * scale[packed] + mean[packed];
    }
  }
  out[at] = to_c(sum / f32((rows.y - rows.x) * (columns.y - columns.x)));
}

//#include elementwise
