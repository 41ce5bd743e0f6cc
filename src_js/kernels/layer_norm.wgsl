// Layer norm without affine, then modulation: out = (x - mean) / sqrt(variance + eps) * (1 + scale) + shift.
//
// x rows of `columns` f32 (the residual stream), shift and scale two runs of `modulation` (f32, one value a column), out rows of type C;
// offsets, strides and row_units count units (units.wgsl). One workgroup a row, which it holds in registers, VALUES units an invocation:
// mean and variance in two passes over them, f32.

struct Params {
  columns: u32,
  row_units: u32,
  x_offset: u32,
  x_stride: u32,
  out_offset: u32,
  out_stride: u32,
  shift_offset: u32,
  scale_offset: u32,
  row_count: u32,
  eps: f32,
}

//#include units
//#include reduce

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Unit>;
@group(0) @binding(2) var<storage, read> modulation: array<Unit>;
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
  var sum = Unit();
  //#for i in VALUES
  let at$i = index + $i * WORKGROUP;
  var value$i = Unit();
  if (at$i < p.row_units) {
    value$i = x[from_ + at$i];
    sum += value$i;
  }
  //#endfor
  let mean = workgroup_sum(index, total(sum)) / f32(p.columns);
  var squares = Unit();
  //#for i in VALUES
  if (at$i < p.row_units) {
    value$i -= mean;
    squares = fma(value$i, value$i, squares);
  }
  //#endfor
  let deviation = sqrt(workgroup_sum(index, total(squares)) / f32(p.columns) + p.eps);
  //#for i in VALUES
  if (at$i < p.row_units) {
    let normed = value$i / deviation;
    out[to + at$i] = to_out(normed * (1.0 + modulation[p.scale_offset + at$i]) + modulation[p.shift_offset + at$i]);
  }
  //#endfor
}
