/* packed_impl.h - the layout of a packed file, for its reader and its writer.
 *
 *   head (192 bytes) | section, 64-byte aligned | section ... | table, 64-byte aligned, sorted by name
 *
 * All numbers are little endian. The checksum covers the head (with the checksum's own bytes zero) and the
 * table; sections are as large as the model and are trusted once those are right. */
#ifndef PN_MODEL_PACKED_IMPL_H
#define PN_MODEL_PACKED_IMPL_H

#include "model/packed.h"

#include <stdint.h>

enum { PN_PACKED_ALIGN = 64, PN_PACKED_MAX_SECTIONS = 1 << 16 };

struct pn_packed_head {
    char magic[8];
    uint32_t version, layout;
    char kind[32], precision[16];
    uint64_t source_size;
    int64_t source_mtime_ns;
    uint8_t source_hash[16];
    uint64_t file_size, table; /* the table reaches to the end of the file */
    uint32_t n_sections, zero;
    uint8_t checksum[16];
    uint8_t rest[56];
};

struct pn_packed_entry {
    char name[PN_PACKED_NAME_MAX + 1];
    uint64_t offset, size;
};

_Static_assert(sizeof(struct pn_packed_head) == 192, "a head without padding");
_Static_assert(sizeof(struct pn_packed_entry) == 80, "entries without padding");

struct pn_packed_section {
    char name[PN_PACKED_NAME_MAX + 1];
    void *data;
    size_t size;
    uint64_t offset; /* in a file */
};

struct pn_packed_region { /* what has to be unmapped */
    void *ptr;
    size_t size;
};

struct pn_packed {
    struct pn_packed_section *sections; /* sorted by name */
    size_t n_sections;
    struct pn_packed_region *regions;
    size_t n_regions;
    size_t size;
};

/* The part of a head that a key decides. -PN_EINVAL: a kind or precision that is too long. */
PN_MUST_CHECK int pn_packed_head_of(const struct pn_packed_key *key, struct pn_packed_head *ret,
                                    struct pn_err *err);
void pn_packed_checksum(const struct pn_packed_head *h, const struct pn_packed_entry *table, uint8_t ret[16]);
/* Checks and maps the file that is open as `fd`. */
PN_MUST_CHECK int pn_packed_map(int fd, const char *path, const struct pn_packed_key *key,
                                struct pn_packed **ret, struct pn_err *err);

#endif
