/*
 * Where the attributes of cublasLt's descriptors lie, so that a call need not ask for each: an attribute costs some 8
 * ns to ask for, and a product has about fifty.
 *
 * The descriptors are public opaque structs, made in the caller's own memory if it likes (cublasLtMatmulDescInit) and
 * never ended there, so all that they hold is in their bytes. Which bytes hold which attribute is learnt from each copy
 * of cublasLt: it is asked for every attribute of structs whose bytes are all different. Only where every answer is the
 * bytes of one place, whatever lies in them, are they read from there; anything else is asked for as before.
 */
#ifndef FASTGEMM_LT_FIELDS_H
#define FASTGEMM_LT_FIELDS_H

#include <string.h>

#include "real.h"

enum { LT_DESC_ATTRIBUTES = 39, LT_LAYOUT_ATTRIBUTES = 9, LT_ABSENT = 0xff };

struct lt_fields {
    uint32_t version;      /* a descriptor's first word: of another version, it has another size */
    uint32_t layout_words; /* of eight bytes, that a layout's attributes lie in */
    uint8_t desc[LT_DESC_ATTRIBUTES], layout[LT_LAYOUT_ATTRIBUTES]; /* offsets; LT_ABSENT: the copy does not know it */
};

/* The fields of this copy's descriptors, NULL where they are not as expected. Learnt once. */
const struct lt_fields *lt_fields_of(const struct real_cublas *real);

/* Whether this descriptor has the fields; layouts have only one version. */
static inline bool lt_fields_fit(const struct lt_fields *fields, const void *desc) {
    uint32_t version;
    memcpy(&version, desc, sizeof version);
    return version == fields->version;
}

static inline bool lt_field_get(uint8_t offset, const void *descriptor, void *value, size_t size) {
    if (offset == LT_ABSENT) return false;
    memcpy(value, (const char *)descriptor + offset, size);
    return true;
}

#endif
