/* A library that is not cuBLAS and has functions of its names: theirs are what its handle gives. */
int cublasSgemm_v2(void);
int cublasSgemm_v2(void) {
    return 4711;
}
int cublasLtMatmul(void);
int cublasLtMatmul(void) {
    return 4712;
}
