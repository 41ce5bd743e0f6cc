// Copies a view: out = x, from type A to type C, each with its offset and row stride. Everything counts units (units.wgsl).
// One invocation a unit. LIMITED: no magnitude stays above the limit.

struct Params {
  columns: u32,
  element_count: u32,
  x_offset: u32,
  x_stride: u32,
  out_offset: u32,
  out_stride: u32,
  limit: f32,
}

//#include units
//#if QUADS
alias InUnit = vec4<A>;
//#else
alias InUnit = A;
//#endif

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<InUnit>;
@group(0) @binding(2) var<storage, read_write> out: array<OutUnit>;

fn element(at: u32) {
  let row = at / p.columns;
  let column = at - row * p.columns;
  let value = Unit(x[p.x_offset + row * p.x_stride + column]);
//#if LIMITED
  out[p.out_offset + row * p.out_stride + column] = to_out(clamp(value, Unit(-p.limit), Unit(p.limit)));
//#else
  out[p.out_offset + row * p.out_stride + column] = to_out(value);
//#endif
}

//#include elementwise
