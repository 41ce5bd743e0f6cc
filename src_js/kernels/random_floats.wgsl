// Fills words with random numbers of an even spread about a centre. One invocation a word: an f32, or with HALVES two f16.

struct Params {
  element_count: u32,
  seed: u32,
  center: f32,
  spread: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

//#include random

fn value(index: u32) -> f32 {
  return p.center + p.spread * (f32(random_word(index) >> 8u) / 8388608.0 - 1.0);
}

fn element(at: u32) {
//#if HALVES
  out[at] = pack2x16float(vec2<f32>(value(2u * at), value(2u * at + 1u)));
//#else
  out[at] = bitcast<u32>(value(at));
//#endif
}

//#include elementwise
