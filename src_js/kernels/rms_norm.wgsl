// RMS norm: out = x / sqrt(mean(x^2) + eps) * weight.
//
// x rows of `columns` f32 (the residual stream), weight f32, one value a column, out rows of type C; offsets, strides and row_units count
// units (units.wgsl). One workgroup a row, which it holds in registers, VALUES units an invocation.

struct Params {
  columns: u32,
  row_units: u32,
  x_offset: u32,
  x_stride: u32,
  out_offset: u32,
  out_stride: u32,
  row_count: u32,
  eps: f32,
}

//#include units
//#include reduce

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Unit>;
@group(0) @binding(2) var<storage, read> weight: array<Unit>;
@group(0) @binding(3) var<storage, read_write> out: array<OutUnit>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= p.row_count) {
    return;
  }
  let from_ = p.x_offset + row * p.x_stride;
  let to = p.out_offset + row * p.out_stride;
  var squares = Unit();
  //#for i in VALUES
  let at$i = index + $i * WORKGROUP;
  var value$i = Unit();
  if (at$i < p.row_units) {
    value$i = x[from_ + at$i];
    squares = fma(value$i, value$i, squares);
  }
  //#endfor
  let root = sqrt(workgroup_sum(index, total(squares)) / f32(p.columns) + p.eps);
  //#for i in VALUES
  if (at$i < p.row_units) {
    out[to + at$i] = to_out(value$i / root * weight[at$i]);
  }
  //#endfor
}
