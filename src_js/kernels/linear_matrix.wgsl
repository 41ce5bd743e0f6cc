// Linear layer on subgroup matrices: f16 products, f32 sums (linear_frame.wgsl, gemm_matrix.wgsl). A is f16.

//#include linear_frame
//#include linear_halves
//#include gemm_matrix
