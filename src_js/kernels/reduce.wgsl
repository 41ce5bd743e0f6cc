// Sum over a workgroup of WORKGROUP invocations (a power of two). Every invocation gets the sum.

var<workgroup> reduce_partial: array<f32, WORKGROUP>;

fn workgroup_sum(index: u32, value: f32) -> f32 {
  reduce_partial[index] = value;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (index < half) {
      reduce_partial[index] += reduce_partial[index + half];
    }
    workgroupBarrier();
  }
  let total = reduce_partial[0];
  workgroupBarrier();
  return total;
}
