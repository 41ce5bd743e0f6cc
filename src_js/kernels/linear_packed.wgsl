// Linear layer in packed f16 arithmetic with f32 totals (linear_frame.wgsl, gemm_packed.wgsl). A is f16.

//#include linear_frame
//#include linear_halves
//#include gemm_packed
