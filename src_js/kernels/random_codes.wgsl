// Fills words with random 4-bit codes of mean 8, the zero point of symmetric weights: 1 to 15 with 8 twice as often, or with NARROW
// 7 to 9 with 8 twice as often. One invocation a word of eight.

struct Params {
  element_count: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

//#include random

fn element(at: u32) {
  let word = random_word(at);
  var codes = 0u;
  for (var i = 0u; i < 8u; i++) {
    let drawn = (word >> (4u * i)) & 15u;
//#if NARROW
    let code = 7u + (drawn & 1u) + ((drawn >> 1u) & 1u);
//#else
    let code = select(drawn, 8u, drawn == 0u);
//#endif
    codes |= code << (4u * i);
  }
  out[at] = codes;
}

//#include elementwise
