// The frame of the kernels that touch each element once: the including file supplies element(at), called for every
// at < p.element_count. Workgroups of 256 in a grid of two dimensions, since one holds at most 65 535 of them.

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let at = (group.y * groups.x + group.x) * 256u + index;
  if (at < p.element_count) {
    element(at);
  }
}
