// Linear layer in f32 arithmetic, whatever A's and C's types (linear_frame.wgsl, gemm_plain.wgsl).

//#include linear_frame

//#if A_VEC4
@group(0) @binding(1) var<storage, read> a: array<vec4<A>>;
//#else
@group(0) @binding(1) var<storage, read> a: array<A>;
//#endif

fn load_a4(m: u32, k: u32) -> vec4<f32> {
//#if WHOLE_TILES
//#else
  if (k >= p.inner) {
    return vec4<f32>();
  }
//#endif
  let at = p.a_offset + min(m, p.rows - 1u) * p.a_stride + k;   // rows beyond the last are copies of it, which nobody stores
//#if A_VEC4
  return vec4<f32>(a[at / 4u]);
//#else
  var value = vec4<f32>();
  for (var i = 0u; i < 4u && k + i < p.inner; i++) {
    value[i] = f32(a[at + i]);
  }
  return value;
//#endif
}

//#include gemm_plain
