/* fuzz_packed.c - packed files. The key and the checksum, which no mutation would get right, are put in order
 * before the file is opened, so that the table and its sections are what is tested. */
#include "model/packed_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pn_packed_key KEY = { .kind = "whisper", .precision = "int8", .layout = 1 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void mend(uint8_t *bytes, size_t size)
{
    struct pn_packed_head h, right;
    if (size < sizeof(h) || pn_packed_head_of(&KEY, &right, NULL) < 0)
        return;
    memcpy(&h, bytes, sizeof(h));
    memcpy(&h, &right, offsetof(struct pn_packed_head, file_size));
    if (h.rest[0] % 2 == 0)
        h.file_size = size;
    if (h.table <= size && (size - h.table) / sizeof(struct pn_packed_entry) >= h.n_sections) {
        struct pn_packed_entry *table = malloc(size + 1);
        check(table != NULL);
        memcpy(table, bytes + h.table, size - h.table);
        pn_packed_checksum(&h, table, h.checksum);
        free(table);
    }
    memcpy(bytes, &h, sizeof(h));
}

/* Adds up every byte of a section that can be found by its name. */
static uint64_t read_sections(const struct pn_packed *p, const uint8_t *bytes, size_t size)
{
    struct pn_packed_head h;
    memcpy(&h, bytes, sizeof(h));
    uint64_t sum = 0;
    for (size_t i = 0; i < h.n_sections; i++) {
        struct pn_packed_entry e;
        memcpy(&e, bytes + h.table + i * sizeof(e), sizeof(e));
        size_t n = 0;
        const uint8_t *s = pn_packed_find(p, e.name, &n);
        check(s != NULL && n <= size && (uintptr_t)s % PN_PACKED_ALIGN == 0);
        for (size_t j = 0; j < n; j++)
            sum += s[j];
    }
    return sum;
}

static void open_bytes(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("packed", MFD_CLOEXEC);
    check(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    struct pn_err err = { 0 };
    struct pn_packed *p = NULL;
    int r = pn_packed_map(fd, "fuzz", &KEY, &p, &err);
    check(r == 0 ? err.code == 0 : err.code == -r && err.text[0]);
    if (r == 0)
        check(read_sections(p, bytes, size) <= 255 * size * size); /* the sum keeps the reads */
    pn_packed_close(p);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_bytes(data, size);
    uint8_t *copy = malloc(size + 1);
    check(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    mend(copy, size);
    open_bytes(copy, size);
    free(copy);
    return 0;
}
