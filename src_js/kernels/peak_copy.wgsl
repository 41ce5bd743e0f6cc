// Copies four words an invocation, the plainest way through memory.

struct Params {
  element_count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<u32>>;

fn element(at: u32) {
  out[at] = x[at];
}

//#include elementwise
