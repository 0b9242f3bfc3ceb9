/* pack.c - packing on all threads, piece by piece.
 *
 * All sections are added first, by one thread; then the pieces (rows of one tensor that become output
 * channels of one layer) are independent. A piece begins at a multiple of 64 channels, as the layout wants.
 */
#include "asr/whisper/pack.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20, BATCH = 64 };

struct source {
    const struct pn_tensor *weight, *bias; /* bias: NULL = zeros */
};

struct piece {
    const struct pn_part *part;
    struct source from;
    void *block;
    int channel; /* of the part */
    int row;     /* of the tensor */
    int rows;
};

struct packing {
    const struct pn_checkpoint *c;
    struct piece *piece;
    size_t n, cap, first;       /* `first`: of the batch that is being run */
    size_t values, bias_values; /* the largest piece */
    float *scratch;             /* a piece's values (twice: convolutions are turned) and bias, a thread */
    atomic_int failed;          /* -PN_E* of the piece that failed first */
    _Atomic(const struct pn_tensor *) culprit;
};

static int find_source(struct packing *p, const struct pn_part *part, int i, struct source *ret,
                       struct pn_err *err)
{
    bool conv = part->kind == PN_PART_CONV;
    int r = pn_whisper_tensor(p->c, part->weight[i], part->n / part->n_sources, conv ? part->k / 3 : part->k,
                              conv ? 3 : 1, &ret->weight, err);
    ret->bias = NULL;
    if (r == 0 && part->bias[i][0])
        r = pn_whisper_tensor(p->c, part->bias[i], part->n / part->n_sources, 1, 1, &ret->bias, err);
    return r;
}

static int piece_rows(const struct pn_part *part)
{
    int rows = PIECE_BYTES / (part->k * (int)sizeof(float)) / PN_PANEL * PN_PANEL;
    return PN_MAX(rows, PN_PANEL);
}

static int add_piece(struct packing *p, const struct piece *piece)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256;
        struct piece *more = realloc(p->piece, cap * sizeof(*more));
        if (!more)
            return -PN_ENOMEM;
        p->piece = more;
        p->cap = cap;
    }
    p->piece[p->n++] = *piece;
    p->values = PN_MAX(p->values, (size_t)piece->rows * (size_t)piece->part->k);
    p->bias_values = PN_MAX(p->bias_values, (size_t)piece->rows);
    return 0;
}

/* The section is found later: a part's pieces are cut before there is one, so that a checkpoint that lacks a
 * tensor costs no disk. */
static int cut_part(struct packing *p, const struct pn_part *part, struct pn_err *err)
{
    int each = part->n / part->n_sources, step = piece_rows(part), r = 0;
    if (pn_part_size(part) == 0)
        return pn_fail(err, PN_EFORMAT, "%s is too large", part->name);
    for (int s = 0; s < part->n_sources && r == 0; s++) {
        struct piece piece = { .part = part };
        r = find_source(p, part, s, &piece.from, err);
        for (int row = 0; row < each && r == 0; row += step) {
            piece.row = row;
            piece.rows = PN_MIN(step, each - row);
            piece.channel = s * each + row;
            r = add_piece(p, &piece);
        }
    }
    return r;
}

static int add_sections(struct packing *p, struct pn_packed_writer *out, struct pn_err *err)
{
    const struct pn_part *part = NULL;
    void *block = NULL;
    for (size_t i = 0; i < p->n; i++) {
        if (p->piece[i].part != part) {
            part = p->piece[i].part;
            block = pn_packed_add(out, part->name, pn_part_size(part), err);
        }
        if (!block)
            return -PN_EIO;
        p->piece[i].block = block;
    }
    return 0;
}

static bool all_finite(const float *x, size_t n)
{
    bool fine = true;
    for (size_t i = 0; i < n; i++)
        fine &= isfinite(x[i]) != 0;
    return fine;
}

static void fail_piece(struct packing *p, int r, const struct pn_tensor *t)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&p->failed, &none, r))
        atomic_store(&p->culprit, t);
}

/* [row][channel][tap] to [row][tap][channel] */
static void turn_taps(const float *in, int rows, int channels, float *out)
{
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < channels; c++) {
            for (int tap = 0; tap < 3; tap++)
                out[(r * 3 + tap) * channels + c] = in[(r * channels + c) * 3 + tap];
        }
    }
}

static void store_piece(const struct piece *q, float *values, float *turned, const float *bias)
{
    const struct pn_part *part = q->part;
    size_t n = (size_t)q->rows * (size_t)part->k;
    switch (part->kind) {
    case PN_PART_VALUES:
        memcpy((float *)q->block + (size_t)q->channel * (size_t)part->k, values, n * sizeof(float));
        return;
    case PN_PART_CONV:
        turn_taps(values, q->rows, part->k / 3, turned);
        values = turned;
        break;
    case PN_PART_LINEAR:
        break;
    }
    pn_linear_pack_rows(part->precision, part->n, part->k, q->channel, q->rows, values, bias, q->block);
}

static void pack_piece(void *ctx, int i, int thread)
{
    struct packing *p = ctx;
    const struct piece *q = &p->piece[p->first + (size_t)i];
    float *values = p->scratch + (size_t)thread * (2 * p->values + p->bias_values);
    float *turned = values + p->values, *bias = turned + p->values;
    int64_t n = (int64_t)q->rows * q->part->k;
    int r = pn_tensor_f32(q->from.weight, (int64_t)q->row * q->part->k, n, values);
    if (r == 0 && !all_finite(values, (size_t)n))
        r = -PN_EFORMAT;
    if (r < 0) {
        fail_piece(p, r, q->from.weight);
        return;
    }
    if (q->from.bias) {
        r = pn_tensor_f32(q->from.bias, q->row, q->rows, bias);
        if (r == 0 && !all_finite(bias, (size_t)q->rows))
            r = -PN_EFORMAT;
        if (r < 0) {
            fail_piece(p, r, q->from.bias);
            return;
        }
    }
    store_piece(q, values, turned, q->from.bias ? bias : NULL);
}

static int run_pieces(struct packing *p, const struct pn_whisper_options *opt, struct pn_err *err)
{
    size_t threads = opt->pool ? (size_t)pn_pool_threads(opt->pool) : 1;
    p->scratch = malloc(threads * (2 * p->values + p->bias_values) * sizeof(float));
    if (!p->scratch)
        return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
    for (p->first = 0; p->first < p->n && atomic_load(&p->failed) == 0; p->first += BATCH) {
        pn_pool_run(opt->pool, (int)PN_MIN(p->n - p->first, (size_t)BATCH), pack_piece, p);
        if (opt->progress)
            opt->progress(opt->ctx, (double)PN_MIN(p->first + BATCH, p->n) / (double)p->n);
    }
    int r = atomic_load(&p->failed);
    const struct pn_tensor *t = atomic_load(&p->culprit);
    if (r < 0)
        (void)pn_fail(err, -r, "tensor %.*s cannot be used: %s", (int)PN_MIN(t->name.len, (size_t)100),
                      t->name.ptr,
                      r == -PN_EFORMAT ? "it holds values that are not finite" : pn_error_name(r));
    return r;
}

int pn_whisper_pack(const struct pn_checkpoint *c, const struct pn_parts *parts,
                    const struct pn_whisper_options *opt, struct pn_packed_writer *out, struct pn_err *err)
{
    struct packing p = { .c = c };
    int r = 0;
    for (size_t i = 0; i < parts->n && r == 0; i++)
        r = cut_part(&p, &parts->part[i], err);
    if (r == 0)
        r = add_sections(&p, out, err);
    if (r == 0)
        r = run_pieces(&p, opt, err);
    free(p.scratch);
    free(p.piece);
    return r;
}
