// Rounds results to the output's element type C. f16 saturates at its largest finite value instead of overflowing.

fn to_c(value: f32) -> C {
//#if C_F16
  return C(clamp(value, -65504.0, 65504.0));
//#else
  return value;
//#endif
}

fn to_c4(value: vec4<f32>) -> vec4<C> {
//#if C_F16
  return vec4<C>(clamp(value, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
//#else
  return value;
//#endif
}
