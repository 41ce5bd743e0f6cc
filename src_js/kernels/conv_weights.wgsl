// A convolution's weight from its shard's layout to the one that conv2d.wgsl reads, rounded to type C.
//
// w [columns, taps * channels], rows w_stride elements apart, k = tap * channels + channel, f32 or f16 (read as packed words, so that
// a device without shader-f16 reads the same bytes). out [taps * channel_rows, out_stride], zeros beyond the channels and columns.
// With FOLD, w is 3x3 and out holds four 2x2 convolutions, parity (y % 2, x % 2) outermost: at an even row of the doubled map the
// taps -1 | 0 and 1 meet the same pixels, at an odd one -1 and 0 | 1, and so along x; such taps are summed in f32.
// With PAIRS, rows 2 i and 2 i + 1 alternate element by element, so that a word holds two rows of one column.
// One invocation an element.

struct Params {
  columns: u32,
  channels: u32,
  w_stride: u32,
  channel_rows: u32,
  out_stride: u32,
  element_count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
//#if W_F16
@group(0) @binding(1) var<storage, read> w: array<u32>;
//#else
@group(0) @binding(1) var<storage, read> w: array<f32>;
//#endif
@group(0) @binding(2) var<storage, read_write> out: array<C>;

//#include store

fn load(n: u32, tap: u32, channel: u32) -> f32 {
  let at = n * p.w_stride + tap * p.channels + channel;
//#if W_F16
  return unpack2x16float(w[at / 2u])[at & 1u];
//#else
  return w[at];
//#endif
}

fn element(at: u32) {
//#if PAIRS
  let pair = at / (2u * p.out_stride);
  let row = 2u * pair + (at & 1u);
  let n = (at - pair * 2u * p.out_stride) / 2u;
//#else
  let row = at / p.out_stride;
  let n = at - row * p.out_stride;
//#endif
  let tap = row / p.channel_rows;
  let channel = row - tap * p.channel_rows;
  var value = 0.0;
  if (n < p.columns && channel < p.channels) {
//#if FOLD
    let parity = vec2<u32>((tap >> 2u) & 1u, tap >> 3u);
    let second = vec2<u32>(tap & 1u, (tap >> 1u) & 1u) == vec2<u32>(1u);
    let begin = select(vec2<u32>(0u), 1u + parity, second);
    let end = select(1u + parity, vec2<u32>(3u), second);
    for (var y = begin.y; y < end.y; y++) {
      for (var x = begin.x; x < end.x; x++) {
        value += load(n, y * 3u + x, channel);
      }
    }
//#else
    value = load(n, tap, channel);
//#endif
  }
  out[at] = to_c(value);
}

//#include elementwise
