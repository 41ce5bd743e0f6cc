// Layer norm without affine, then modulation: out = (x - mean) / sqrt(variance + eps) * (1 + scale) + shift.
//
// x [rows, columns] f32 (the residual stream), shift and scale two runs of `modulation` (f32, one value a column),
// out [rows, columns] of type C. Mean and variance in two passes, f32. One workgroup a row.

struct Params {
  columns: u32,
  x_offset: u32,
  x_stride: u32,
  out_offset: u32,
  out_stride: u32,
  shift_offset: u32,
  scale_offset: u32,
  row_count: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> modulation: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<C>;

//#include reduce
//#include store

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
  var sum = 0.0;
  for (var i = index; i < p.columns; i += WORKGROUP) {
    sum += x[from_ + i];
  }
  let mean = workgroup_sum(index, sum) / f32(p.columns);
  var squares = 0.0;
  for (var i = index; i < p.columns; i += WORKGROUP) {
    let d = x[from_ + i] - mean;
    squares = fma(d, d, squares);
  }
  let deviation = sqrt(workgroup_sum(index, squares) / f32(p.columns) + p.eps);
  for (var i = index; i < p.columns; i += WORKGROUP) {
    let normed = (x[from_ + i] - mean) / deviation;
    out[to + i] = to_c(normed * (1.0 + modulation[p.scale_offset + i]) + modulation[p.shift_offset + i]);
  }
}
