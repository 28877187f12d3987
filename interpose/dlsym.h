/*
 * The dlsym and dlvsym behind ours: what this library itself looks names up with. RTLD_NEXT means the objects after
 * this library.
 */
#ifndef FASTGEMM_DLSYM_H
#define FASTGEMM_DLSYM_H

void *dlsym_next(void *handle, const char *name);
void *dlvsym_next(void *handle, const char *name, const char *version);

#endif
