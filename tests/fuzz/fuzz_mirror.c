/* fuzz_mirror.c - a catalogue of one's own (PINNA_CATALOGUE): whatever it says, names are names and addresses
 * are addresses. */
#include "model/mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_model(const struct pn_mirror *m, const struct pn_catalogue_entry *e)
{
    check(pn_model_name_ok(e->name) && strlen(e->languages) <= 100 && pn_mirror_find(m, e->name));
    check(e->n_files > 0 && e->size >= 0);
    for (size_t i = 0; i < e->n_files; i++) {
        const struct pn_model_file *f = &e->files[i];
        check(pn_model_name_ok(f->path) && strncmp(f->url, "http", 4) == 0 && f->size >= -1);
        check(strlen(f->digest) == 64 && strspn(f->digest, "0123456789abcdef") == 64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct pn_mirror *m = NULL;
    struct pn_err err = { 0 };
    int fd = memfd_create("catalogue", MFD_CLOEXEC);
    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int r = pn_mirror_read(path, &m, &err);
    check(r == 0 ? m != NULL : !m && err.code == -r && err.text[0]);
    const struct pn_catalogue_entry *e;
    for (size_t i = 0; r == 0 && (e = pn_mirror_at(m, i)) != NULL; i++)
        check_model(m, e);
    pn_mirror_free(m);
    close(fd);
    return 0;
}
