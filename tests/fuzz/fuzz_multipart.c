/* fuzz_multipart.c - forms: the first byte chooses the piece size, the rest is the body; any split must give
 * the same parts and result. */
#include "base/buf.h"
#include "server/multipart.h"

#include <stdlib.h>
#include <string.h>

#define OUT_MAX (1 << 20)

static int on_part(void *ctx, const struct pn_part *p, struct pn_err *err)
{
    (void)err;
    pn_buf_printf(ctx, "[%s|%s|%s]", p->name, p->filename, p->content_type);
    return 0;
}

static int on_data(void *ctx, const char *p, size_t n, struct pn_err *err)
{
    (void)err;
    pn_buf_append(ctx, p, n);
    return 0;
}

static int parse(const uint8_t *data, size_t size, size_t piece, struct pn_buf *out)
{
    struct pn_multipart m;
    int r = 0;
    pn_buf_init(out, OUT_MAX);
    pn_multipart_init(&m, "b", &(struct pn_multipart_handler){ on_part, on_data, out });
    for (size_t i = 0; i < size && r == 0; i += piece) {
        size_t n = PN_MIN(piece, size - i);
        char *exact = malloc(n);
        memcpy(exact, data + i, n);
        r = pn_multipart_feed(&m, exact, n, NULL);
        free(exact);
    }
    return r < 0 ? r : pn_multipart_end(&m, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char boundary[PN_BOUNDARY_MAX + 1];
    struct pn_buf whole, split;
    if (size < 2)
        return 0;
    (void)!pn_multipart_boundary((struct pn_str){ (const char *)data, size }, boundary);
    int a = parse(data + 1, size - 1, size, &whole);
    int b = parse(data + 1, size - 1, data[0] + 1u, &split);
    if (a != b || (a == 0 && whole.len != split.len))
        abort();
    if (a == 0 && whole.len > 0 && memcmp(whole.ptr, split.ptr, whole.len) != 0)
        abort();
    pn_buf_done(&whole);
    pn_buf_done(&split);
    return 0;
}
