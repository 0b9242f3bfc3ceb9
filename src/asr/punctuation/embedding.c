/* embedding.c - see embedding.h. A row of 8 bits is its scale, then the numbers, padded to 4 bytes. */
#include "asr/punctuation/embedding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SECTION[] = "embedding.rows";

static size_t row_size(const struct pn_mark_embedding *e)
{
    return e->precision == PN_F32 ? e->width * sizeof(float) : sizeof(float) + pn_round_up(e->width, 4);
}

static void store_row(const struct pn_mark_embedding *e, const float *x, char *row)
{
    if (e->precision == PN_F32) {
        memcpy(row, x, e->width * sizeof(float));
        return;
    }
    float most = 0;
    for (size_t i = 0; i < e->width; i++)
        most = fmaxf(most, fabsf(x[i]));
    float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
    memcpy(row, &scale, sizeof(scale));
    for (size_t i = 0; i < e->width; i++)
        row[sizeof(scale) + i] = (char)(int8_t)lrintf(x[i] * inverse);
}

void pn_mark_embedding_row(const struct pn_mark_embedding *e, size_t id, float *out)
{
    const char *row = e->rows + id * row_size(e);
    if (e->precision == PN_F32) {
        memcpy(out, row, e->width * sizeof(float));
        return;
    }
    float scale;
    memcpy(&scale, row, sizeof(scale));
    for (size_t i = 0; i < e->width; i++)
        out[i] = scale * (float)(int8_t)row[sizeof(scale) + i];
}

static int add_row(const struct pn_mark_embedding *e, const struct pn_tensor *t, size_t id, float *x,
                   char *rows, struct pn_err *err)
{
    int r = pn_tensor_f32(t, (int64_t)(id * e->width), (int64_t)e->width, x);
    for (size_t i = 0; i < e->width && r == 0; i++)
        r = isfinite(x[i]) ? 0 : -PN_EFORMAT;
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "the vector of word %zu cannot be used", id);
    store_row(e, x, rows + id * row_size(e));
    return 0;
}

int pn_mark_embedding_add(const struct pn_mark_embedding *e, const struct pn_tensor *t,
                          struct pn_packed_writer *out, struct pn_err *err)
{
    float *x = malloc(e->width * sizeof(*x));
    if (!x)
        return pn_fail(err, PN_ENOMEM, "no memory for a vector");
    char *rows = pn_packed_add(out, SECTION, e->n * row_size(e), err);
    int r = rows ? 0 : -PN_EIO;
    for (size_t id = 0; id < e->n && r == 0; id++)
        r = add_row(e, t, id, x, rows, err);
    free(x);
    return r;
}

int pn_mark_embedding_bind(struct pn_mark_embedding *e, const struct pn_packed *packed, struct pn_err *err)
{
    size_t size = 0;
    const void *rows = pn_packed_find(packed, SECTION, &size);
    if (!rows || size < e->n * row_size(e))
        return pn_fail(err, PN_EFORMAT, "the packed file lacks %s", SECTION);
    e->rows = rows;
    return 0;
}
