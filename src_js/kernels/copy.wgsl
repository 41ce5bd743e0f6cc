// Copies a view: out [rows, columns] = x [rows, columns], from type A to type C, each with its offset and row stride.
// One invocation an element.

struct Params {
  columns: u32,
  element_count: u32,
  x_offset: u32,
  x_stride: u32,
  out_offset: u32,
  out_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<A>;
@group(0) @binding(2) var<storage, read_write> out: array<C>;

//#include store

fn element(at: u32) {
  let row = at / p.columns;
  let column = at - row * p.columns;
  out[p.out_offset + row * p.out_stride + column] = to_c(f32(x[p.x_offset + row * p.x_stride + column]));
}

//#include elementwise
