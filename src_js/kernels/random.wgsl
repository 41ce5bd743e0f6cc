// Random numbers from a counter: the same for a seed and a position, on every device.

fn mix_bits(bits: u32) -> u32 {
  var x = bits;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}

fn random_word(at: u32) -> u32 {
  return mix_bits(at ^ mix_bits(p.seed));
}
