// SwiGLU: out = silu(gate) * up, gate and up two column runs of x.
//
// x rows of type F holding gate at gate_offset and up at up_offset; out rows of type C, a view. Everything counts units (units.wgsl).
// One invocation a unit.

struct Params {
  width: u32,
  element_count: u32,
  x_stride: u32,
  gate_offset: u32,
  up_offset: u32,
  out_offset: u32,
  out_stride: u32,
}

//#include units
//#if QUADS
alias InUnit = vec4<F>;
//#else
alias InUnit = F;
//#endif

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<InUnit>;
@group(0) @binding(2) var<storage, read_write> out: array<OutUnit>;

fn element(at: u32) {
  let row = at / p.width;
  let column = at - row * p.width;
  let gate = Unit(x[p.gate_offset + row * p.x_stride + column]);
  let up = Unit(x[p.up_offset + row * p.x_stride + column]);
  out[p.out_offset + row * p.out_stride + column] = to_out(gate / (1.0 + exp(-gate)) * up);
}

//#include elementwise
