/* Learning the fields. cuBLAS API reference: cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t. */
#include "lt_fields.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    MOST = 256,
    SIZE_STEP = 8,
    FIRST = sizeof(uint32_t) /* of the bytes that may hold anything: after the version */
};

/* An attribute and its size in bytes, by number, since older headers lack some. */
struct attribute {
    uint8_t which, size;
};
static const struct attribute of_desc[] = {
    {0, 4},  {1, 4},  {2, 4},  {3, 4},  {4, 4},  {5, 4},  {6, 4},  {7, 4},  {8, 8},  {10, 8}, {15, 4}, {17, 8}, {18, 8},
    {19, 8}, {20, 8}, {21, 8}, {25, 1}, {26, 4}, {31, 4}, {32, 4}, {33, 4}, {34, 4}, {36, 8}, {37, 4}, {38, 8},
};
static const struct attribute of_layout[] = {{0, 4}, {1, 4}, {2, 8}, {3, 8}, {4, 8}, {5, 4}, {6, 8}, {7, 8}, {8, 4}};

union bytes {
    uint64_t aligned;
    uint8_t at[MOST];
};

/* One kind of descriptor of one copy. */
struct kind {
    const struct real_cublas *real;
    bool is_desc;
    int first, size;   /* the bytes that may hold attributes, in every descriptor of the version */
    int end;           /* of those that do */
    union bytes fresh; /* as the copy makes one */
};

static bool init(const struct kind *kind, union bytes *out, size_t size) {
    cublasStatus_t status = kind->is_desc ? kind->real->cublasLtMatmulDescInit_internal((cublasLtMatmulDesc_t)out, size,
                                                                                        CUBLAS_COMPUTE_32F, CUDA_R_32F)
                                          : kind->real->cublasLtMatrixLayoutInit_internal((cublasLtMatrixLayout_t)out,
                                                                                          size, CUDA_R_32F, 3, 5, 7);
    return status == CUBLAS_STATUS_SUCCESS;
}

static bool ask(const struct kind *kind, const union bytes *of, struct attribute attribute, uint8_t *value) {
    size_t written = 0;
    void *descriptor = (void *)(uintptr_t)of;
    cublasStatus_t status =
        kind->is_desc
            ? kind->real->cublasLtMatmulDescGetAttribute(descriptor, (cublasLtMatmulDescAttributes_t)attribute.which,
                                                         value, attribute.size, &written)
            : kind->real->cublasLtMatrixLayoutGetAttribute(descriptor, (cublasLtMatrixLayoutAttribute_t)attribute.which,
                                                           value, attribute.size, &written);
    return status == CUBLAS_STATUS_SUCCESS && written == attribute.size;
}

/* A fresh one, and the least size that the copy takes for one with the same first bytes: its version. */
static bool make_fresh(struct kind *kind) {
    union bytes smaller;
    memset(&kind->fresh, 0, sizeof kind->fresh);
    if (!init(kind, &kind->fresh,
              kind->is_desc ? sizeof(cublasLtMatmulDescOpaque_t) : sizeof(cublasLtMatrixLayoutOpaque_t)))
        return false;
    for (kind->size = SIZE_STEP; kind->size < MOST; kind->size += SIZE_STEP)
        if (init(kind, &smaller, (size_t)kind->size) && memcmp(&smaller, &kind->fresh, (size_t)kind->first) == 0) break;
    return kind->size <= MOST;
}

/* The offset of an attribute, LT_ABSENT where the copy does not know it, -1 where its bytes are not all that it is. */
static int place_of(const struct kind *kind, struct attribute attribute) {
    uint8_t value[8];
    if (!ask(kind, &kind->fresh, attribute, value)) return LT_ABSENT;
    union bytes counted = kind->fresh, reversed = kind->fresh;
    for (int i = kind->first; i < kind->size; i++) counted.at[i] = (uint8_t)i, reversed.at[i] = (uint8_t)~i;
    if (!ask(kind, &counted, attribute, value)) return -1;
    const int at = value[0], end = at + attribute.size;
    if (at < kind->first || end > kind->size) return -1;
    const union bytes *const all[] = {&counted, &reversed, &kind->fresh};
    for (int i = 0; i < 3; i++)
        if (!ask(kind, all[i], attribute, value) || memcmp(value, all[i]->at + at, attribute.size) != 0) return -1;
    return at;
}

static bool learn_kind(struct kind *kind, const struct attribute *attributes, size_t count, uint8_t *places) {
    if (!make_fresh(kind)) return false;
    for (size_t i = 0; i < count; i++) {
        int place = place_of(kind, attributes[i]);
        if (place < 0) return false;
        places[attributes[i].which] = (uint8_t)place;
        if (place != LT_ABSENT && place + attributes[i].size > kind->end) kind->end = place + attributes[i].size;
    }
    return true;
}

static bool learn(const struct real_cublas *real, struct lt_fields *out) {
    struct kind desc = {.real = real, .is_desc = true, .first = FIRST}, layout = {.real = real};
    memset(out, LT_ABSENT, sizeof *out);
    if (!real->cublasLtMatmulDescInit_internal || !real->cublasLtMatrixLayoutInit_internal ||
        !real->cublasLtMatmulDescGetAttribute || !real->cublasLtMatrixLayoutGetAttribute)
        return false;
    if (!learn_kind(&desc, of_desc, sizeof of_desc / sizeof *of_desc, out->desc) ||
        !learn_kind(&layout, of_layout, sizeof of_layout / sizeof *of_layout, out->layout))
        return false;
    memcpy(&out->version, &desc.fresh, sizeof out->version);
    out->layout_words = (uint32_t)(layout.end + SIZE_STEP - 1) / SIZE_STEP; /* its size is a multiple of that */
    return true;
}

/* ---- what was learnt, for each copy ---- */

/* What a call reads of it is one cache line and a half. */
struct lesson {
    _Alignas(64) const struct real_cublas *real;
    const struct lesson *next;
    bool good;
    struct lt_fields fields;
};
static _Atomic(const struct lesson *) lessons;

/* Twice, should two threads come at once: it does no harm, and takes a microsecond. */
static const struct lesson *add(const struct real_cublas *real) {
    struct lesson *lesson = aligned_alloc(_Alignof(struct lesson), sizeof *lesson);
    if (!lesson) return NULL;
    lesson->real = real;
    lesson->good = learn(real, &lesson->fields);
    lesson->next = atomic_load(&lessons);
    while (!atomic_compare_exchange_weak(&lessons, &lesson->next, lesson)) continue;
    return lesson;
}

const struct lt_fields *lt_fields_of(const struct real_cublas *real) {
    const struct lesson *lesson = atomic_load_explicit(&lessons, memory_order_acquire);
    while (lesson && lesson->real != real) lesson = lesson->next;
    if (!lesson) lesson = add(real);
    return lesson && lesson->good ? &lesson->fields : NULL;
}
