// The most multiply-adds of type F that this GPU does: ACCUMULATORS independent chains of four-vectors in every invocation, no memory
// but one result. The chains tend to z / (1 - y), so no value overflows or becomes subnormal. Workgroups: any number, in one dimension.

struct Params {
  iterations: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let y = vec4<F>(F(0.96875));
  let z = vec4<F>(F(f32(id.x % 7u + 1u) * 0.03125));
//#for i in ACCUMULATORS
  var x$i = vec4<F>(F(f32(id.x % 5u) + $i.0 * 0.0625));
//#endfor
  for (var i = 0u; i < p.iterations; i++) {
//#for i in ACCUMULATORS
    x$i = fma(x$i, y, z);
//#endfor
  }
  var sum = vec4<F>();
//#for i in ACCUMULATORS
  sum += x$i;
//#endfor
  out[id.x] = f32(sum.x + sum.y + sum.z + sum.w);
}
