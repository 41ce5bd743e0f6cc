// What a kernel handles at once: four neighbours where every row starts on fours (QUADS), else one element. Its parameters count units.

//#include store

//#if QUADS
alias Unit = vec4<f32>;
alias OutUnit = vec4<C>;

fn to_out(value: Unit) -> OutUnit {
  return to_c4(value);
}

fn total(value: Unit) -> f32 {
  return (value.x + value.y) + (value.z + value.w);
}
//#else
alias Unit = f32;
alias OutUnit = C;

fn to_out(value: Unit) -> OutUnit {
  return to_c(value);
}

fn total(value: Unit) -> f32 {
  return value;
}
//#endif
