/* mapping.c - see mapping.h. */
#include "model/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int pn_mapping_of(int fd, const char *path, struct pn_mapping *ret, struct pn_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return pn_fail_errno(err, "cannot look at %.150s", path);
    if (!S_ISREG(st.st_mode))
        return pn_fail(err, PN_EINVAL, "%.150s is not a file", path);
    struct pn_mapping m = { .size = (size_t)st.st_size,
                            .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec };
    if (m.size > 0) {
        void *at = mmap(NULL, m.size, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED)
            return pn_fail_errno(err, "cannot map %.150s", path);
        m.ptr = at;
    }
    *ret = m;
    return 0;
}

int pn_mapping_open(const char *path, struct pn_mapping *ret, struct pn_err *err)
{
    /* A named pipe must not block. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* checksrc: a model file */
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return pn_fail(err, PN_ENOTFOUND, "there is no file %.150s", path);
    if (fd < 0)
        return pn_fail_errno(err, "cannot open %.150s", path);
    int r = pn_mapping_of(fd, path, ret, err);
    close(fd);
    return r;
}

void pn_mapping_close(struct pn_mapping *m)
{
    if (m->size > 0)
        munmap((void *)(uintptr_t)m->ptr, m->size);
    *m = (struct pn_mapping){ 0 };
}
