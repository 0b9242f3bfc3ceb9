/* reader.h - a bounded cursor over a mapped file. Positions are those of the file, for messages.
 * Everything here is little endian, as the formats and the machines that Pinna runs on. */
#ifndef PN_MODEL_READER_H
#define PN_MODEL_READER_H

#include "base/attr.h"
#include "base/str.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are read as they lie");

struct pn_reader {
    const uint8_t *base;
    size_t pos, end; /* pos <= end, always */
};

/* Borrows the next `n` bytes; false, and nothing moved, when there are fewer. */
static inline bool pn_read_bytes(struct pn_reader *r, uint64_t n, struct pn_str *ret)
{
    if (n > r->end - r->pos)
        return false;
    *ret = (struct pn_str){ (const char *)r->base + r->pos, (size_t)n };
    r->pos += (size_t)n;
    return true;
}

static inline bool pn_read_into(struct pn_reader *r, void *out, size_t n)
{
    struct pn_str bytes;
    if (!pn_read_bytes(r, n, &bytes))
        return false;
    memcpy(out, bytes.ptr, n);
    return true;
}

static inline bool pn_read_u8(struct pn_reader *r, uint8_t *ret)
{
    return pn_read_into(r, ret, sizeof(*ret));
}

static inline bool pn_read_u16(struct pn_reader *r, uint16_t *ret)
{
    return pn_read_into(r, ret, sizeof(*ret));
}

static inline bool pn_read_u32(struct pn_reader *r, uint32_t *ret)
{
    return pn_read_into(r, ret, sizeof(*ret));
}

static inline bool pn_read_i32(struct pn_reader *r, int32_t *ret)
{
    return pn_read_into(r, ret, sizeof(*ret));
}

static inline bool pn_read_u64(struct pn_reader *r, uint64_t *ret)
{
    return pn_read_into(r, ret, sizeof(*ret));
}

#endif
