// RMS norm: out = x / sqrt(mean(x^2) + eps) * weight.
//
// x [rows, columns] f32 (the residual stream), weight [columns] f32, out [rows, columns] of type C. One workgroup a row.

struct Params {
  columns: u32,
  x_offset: u32,
  x_stride: u32,
  out_offset: u32,
  out_stride: u32,
  row_count: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
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
  var squares = 0.0;
  for (var i = index; i < p.columns; i += WORKGROUP) {
    let value = x[from_ + i];
    squares = fma(value, value, squares);
  }
  let root = sqrt(workgroup_sum(index, squares) / f32(p.columns) + p.eps);
  for (var i = index; i < p.columns; i += WORKGROUP) {
    out[to + i] = to_c(x[from_ + i] / root * weight[i]);
  }
}
