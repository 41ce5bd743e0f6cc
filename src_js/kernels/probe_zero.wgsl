// Does the compiler make a variable zero anew in every round of a loop? WGSL says so; some drivers' code does not.
//
// out[i] counts, in each component, the rounds that a vec4 remembers: 1 everywhere when all is right. With INITIALISED the variable has
// an initialiser, as it has in every other kernel of this project; without, a fault is told and changes nothing. One workgroup.

struct Params {
  rounds: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) index: u32) {
  var last = vec4<f32>();
  for (var round = 0u; round < p.rounds; round++) {
//#if INITIALISED
    var sum = vec4<f32>();
//#else
    var sum: vec4<f32>;
//#endif
    for (var i = 0u; i < 4u; i++) {
      sum[(i + index) % 4u] += 1.0;
    }
    last = sum;
  }
  out[index] = last;
}
