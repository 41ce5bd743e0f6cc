// Reads the weight W [columns, inner] of a linear layer two k at a time for four columns (a quad), as the packager laid it: k outermost.
//
// Dense: row k holds the values of all columns, p.w_columns apart (a multiple of 8, zero padded). 4-bit: word ((k / 8) * p.w_columns / 4 +
// n / 4) * 4 + (k % 8) / 2 holds the codes of k and k + 1 (k even) of columns n..n+3 (n a multiple of 4): column n + j has them at bits
// 4 j and 4 j + 16. value = (code - zero point) * scale, one scale (f16) and zero point a column and BLOCK k, each row of them p.w_columns
// wide, zero points as nibbles; without ZERO_POINTS they are 8. p.w_rows is inner, for 4 bits rounded up to whole blocks; all is zero
// beyond it and beyond the columns, and with WHOLE_TILES nobody asks there. With HALVES the arithmetic is f16: code - zero point is exact,
// its product rounded once.

//#if HALVES
alias Number = f16;
//#else
alias Number = f32;
//#endif

//#if W_Q4
@group(0) @binding(3) var<storage, read> w: array<u32>;
@group(0) @binding(4) var<storage, read> scales: array<vec2<u32>>;
//#if ZERO_POINTS
@group(0) @binding(5) var<storage, read> zero_points: array<u32>;
//#endif

alias Codes = u32;

// what the codes of four columns share for BLOCK k
struct Run {
  scale: vec4<Number>,
  zero: vec4<Number>,                               // zero points + 1024
}

fn load_codes(n: u32, k: u32) -> Codes {
//#if WHOLE_TILES
//#else
  if (n >= p.w_columns || k >= p.w_rows) {
    return 0u;
  }
//#endif
  return w[((k / 8u) * (p.w_columns / 4u) + n / 4u) * 4u + (k % 8u) / 2u];
}

fn load_run(n: u32, k: u32) -> Run {
//#if WHOLE_TILES
//#else
  if (n >= p.w_columns || k >= p.w_rows) {
    return Run();
  }
//#endif
  let block = k / BLOCK;
  let halves = scales[block * (p.w_columns / 4u) + n / 4u];
//#if ZERO_POINTS
  let nibbles = zero_points[block * (p.w_columns / 8u) + n / 8u] >> ((n & 4u) * 4u);
//#endif
//#if HALVES
//#if ZERO_POINTS
  let zero_xy = bitcast<vec2<f16>>((nibbles & 0xfu) | ((nibbles & 0xf0u) << 12u) | 0x64006400u);
  let zero_zw = bitcast<vec2<f16>>(((nibbles >> 8u) & 0xfu) | ((nibbles & 0xf000u) << 4u) | 0x64006400u);
  let zero = vec4<f16>(zero_xy, zero_zw);
//#else
  let zero = vec4<f16>(1032.0h);
//#endif
  return Run(vec4<f16>(bitcast<vec2<f16>>(halves.x), bitcast<vec2<f16>>(halves.y)), zero);
//#else
//#if ZERO_POINTS
  let zero = vec4<f32>((vec4<u32>(nibbles) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u)) + 1024.0;
//#else
  let zero = vec4<f32>(1032.0);
//#endif
  return Run(vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y)), zero);
//#endif
}

// the values of (k, k + 1) of one column: a code in the last bits of the half 1024 is 1024 + code
fn pair(codes: Codes, shift: u32, scale: Number, zero: Number) -> vec2<Number> {
  let word = ((codes >> shift) & 0x000f000fu) | 0x64006400u;
//#if HALVES
  return (bitcast<vec2<f16>>(word) - zero) * scale;
//#else
  return (unpack2x16float(word) - zero) * scale;
//#endif
}

fn pair_x(codes: Codes, run: Run) -> vec2<Number> {
  return pair(codes, 0u, run.scale.x, run.zero.x);
}

fn pair_y(codes: Codes, run: Run) -> vec2<Number> {
  return pair(codes, 4u, run.scale.y, run.zero.y);
}

fn pair_z(codes: Codes, run: Run) -> vec2<Number> {
  return pair(codes, 8u, run.scale.z, run.zero.z);
}

fn pair_w(codes: Codes, run: Run) -> vec2<Number> {
  return pair(codes, 12u, run.scale.w, run.zero.w);
}
//#else
//#if W_F16
@group(0) @binding(3) var<storage, read> w: array<vec2<u32>>;
//#else
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
//#endif

// the values of k and of k + 1
struct Codes {
  even: vec4<Number>,
  odd: vec4<Number>,
}

alias Run = u32;                                    // dense values share nothing

fn load_quad(n: u32, k: u32) -> vec4<Number> {
//#if WHOLE_TILES
//#else
  if (n >= p.w_columns || k >= p.w_rows) {
    return vec4<Number>();
  }
//#endif
  let at = (k * p.w_columns + n) / 4u;
//#if W_F16
  return vec4<Number>(vec4<f32>(unpack2x16float(w[at].x), unpack2x16float(w[at].y)));
//#else
  return vec4<Number>(w[at]);
//#endif
}

fn load_codes(n: u32, k: u32) -> Codes {
  return Codes(load_quad(n, k), load_quad(n, k + 1u));
}

fn load_run(n: u32, k: u32) -> Run {
  return 0u;
}

fn pair_x(codes: Codes, run: Run) -> vec2<Number> {
  return vec2<Number>(codes.even.x, codes.odd.x);
}

fn pair_y(codes: Codes, run: Run) -> vec2<Number> {
  return vec2<Number>(codes.even.y, codes.odd.y);
}

fn pair_z(codes: Codes, run: Run) -> vec2<Number> {
  return vec2<Number>(codes.even.z, codes.odd.z);
}

fn pair_w(codes: Codes, run: Run) -> vec2<Number> {
  return vec2<Number>(codes.even.w, codes.odd.w);
}
//#endif
