// Group norm, pass 1 of 3: mean and sum of squared deviations of every channel over one chunk of the map, read once.
//
// x NHWC [pixels, channels] of type A, channels a multiple of 4. Workgroup (chunk, block) covers chunk_pixels pixels and the
// block's 4 * WORKGROUP channels; an invocation takes one quad of channels at every lanes-th pixel. Sums run over differences to
// the chunk's first pixel, so a mean far from zero costs no precision. partial [chunks, 2, channels] f32: means, then sums of squared
// deviations.

const WORKGROUP: u32 = 256u;

struct Params {
  pixels: u32,
  channels: u32,
  chunk_pixels: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<A>>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>;

var<workgroup> sums: array<vec4<f32>, WORKGROUP>;
var<workgroup> square_sums: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let all_quads = p.channels / 4u;
  let quads = min(all_quads - group.y * WORKGROUP, WORKGROUP);
  let lanes = WORKGROUP / quads;
  let quad = index % quads;
  let lane = index / quads;
  let begin = group.x * p.chunk_pixels;
  let count = min(p.chunk_pixels, p.pixels - begin);
  let first = begin * all_quads + group.y * WORKGROUP + quad;

  let shift = vec4<f32>(x[first]);
  var sum = vec4<f32>();
  var squares = vec4<f32>();
  if (lane < lanes) {
    var pixel = lane;
    while (pixel + 3u * lanes < count) {
//#for i in 4
      let d$i = vec4<f32>(x[first + (pixel + $i * lanes) * all_quads]) - shift;
//#endfor
//#for i in 4
      sum += d$i;
      squares = fma(d$i, d$i, squares);
//#endfor
      pixel += 4u * lanes;
    }
    for (; pixel < count; pixel += lanes) {
      let d = vec4<f32>(x[first + pixel * all_quads]) - shift;
      sum += d;
      squares = fma(d, d, squares);
    }
  }
  sums[index] = sum;
  square_sums[index] = squares;
  workgroupBarrier();

  if (index < quads) {
    for (var i = 1u; i < lanes; i++) {
      sum += sums[i * quads + index];
      squares += square_sums[i * quads + index];
    }
    let difference = sum / f32(count);
    let to = group.x * 2u * all_quads + group.y * WORKGROUP + index;
    partial[to] = shift + difference;
    partial[to + all_quads] = max(squares - sum * difference, vec4<f32>());
  }
}
