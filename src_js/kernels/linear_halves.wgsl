// A of a linear layer as packed halves, eight k at a time. Its offset, row stride and inner are multiples of 8. Rows beyond the last are
// copies of it, which nobody stores; k beyond inner is zero, and with WHOLE_TILES nobody asks there.

@group(0) @binding(1) var<storage, read> a: array<vec4<u32>>;

fn load_a8(m: u32, k: u32) -> vec4<u32> {
//#if WHOLE_TILES
//#else
  if (k >= p.inner) {
    return vec4<u32>();
  }
//#endif
  return a[(p.a_offset + min(m, p.rows - 1u) * p.a_stride + k) / 8u];
}
