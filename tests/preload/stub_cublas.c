/*
 * Nothing but names, to link a plugin against: the library carries an absolute path as its soname, so the plugin asks
 * the loader for that file, whatever else of the same soname is loaded.
 */
#define STUB(name)                                                                                                     \
    int name(void);                                                                                                    \
    int name(void) {                                                                                                   \
        return -1;                                                                                                     \
    }
STUB(cublasCreate_v2)
STUB(cublasDestroy_v2)
STUB(cublasSetStream_v2)
STUB(cublasSetAtomicsMode)
STUB(cublasSgemm_v2)
STUB(cublasGetVersion_v2)
STUB(fgsim_cublas_calls)
STUB(fgsim_cublas_foreign_handles)
