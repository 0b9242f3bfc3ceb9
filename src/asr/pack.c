/* pack.c - see pack.h: packing on all threads, piece by piece.
 *
 * All tensors are found first, so that a checkpoint that lacks one costs no disk; then all sections are
 * added, by one thread; then the pieces (output channels of one layer, or rows of values) are independent. A
 * piece begins at a multiple of 64 channels, as the layout wants, and takes its rows from as many tensors as
 * it needs. What has to be turned as a whole is one piece. */
#include "asr/pack.h"

#include "model/funasr.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20, BATCH = 64 };

struct source {
    const struct pn_tensor *weight, *bias, *more_bias; /* biases: NULL = zeros */
};

struct piece {
    size_t part;
    int channel, rows; /* of the part */
};

struct packing {
    const struct pn_parts *parts;
    struct source *source; /* [parts->n_sources] */
    void **block;          /* [parts->n] */
    struct piece *piece;
    size_t n, first;            /* `first`: of the batch that is being run */
    size_t values, bias_values; /* the largest piece */
    float *scratch;             /* a thread: a piece's values, the same turned, its bias twice */
    atomic_int failed;          /* -PN_E* of the piece that failed first */
    _Atomic(const struct pn_tensor *) culprit;
};

int pn_find_funasr_tensor(const void *from, const char *name, const int64_t want[3],
                          const struct pn_tensor **ret, struct pn_err *err)
{
    const struct pn_tensor *t = pn_funasr_tensor(from, name);
    int r = pn_tensor_expect(t, name, want, err);
    if (r == 0)
        *ret = t;
    return r;
}

/* ---- what there is to do ---- */

static bool is_whole(const struct pn_part *part)
{
    return part->kind == PN_PART_TRANSPOSED || part->kind == PN_PART_TURNED;
}

static int source_rows(const struct pn_part *part)
{
    return part->n / (int)part->n_sources;
}

static int source_biases(const struct pn_part *part)
{
    return part->kind == PN_PART_TRANSPOSED ? part->n / part->taps : source_rows(part);
}

static void wanted_shape(const struct pn_part *part, int64_t want[3])
{
    switch (part->kind) {
    case PN_PART_LINEAR:
    case PN_PART_VALUES:
    case PN_PART_TURNED:
        want[0] = source_rows(part), want[1] = part->k, want[2] = 1;
        return;
    case PN_PART_CONV:
        want[0] = source_rows(part), want[1] = part->k / part->taps, want[2] = part->taps;
        return;
    case PN_PART_TRANSPOSED:
        want[0] = part->k, want[1] = part->n / part->taps, want[2] = part->taps;
        return;
    }
    PN_UNREACHABLE();
}

static int find_bias(const struct pn_pack_job *job, const char *name, int n, const struct pn_tensor **ret,
                     struct pn_err *err)
{
    return name[0] ? job->find(job->from, name, (const int64_t[3]){ n, 1, 1 }, ret, err) : 0;
}

static int find_sources(struct packing *p, const struct pn_pack_job *job, const struct pn_part *part,
                        struct pn_err *err)
{
    int64_t want[3];
    int r = 0, n = (wanted_shape(part, want), source_biases(part));
    for (size_t i = part->first; i < part->first + part->n_sources && r == 0; i++) {
        const struct pn_part_source *s = &p->parts->source[i];
        r = job->find(job->from, s->weight, want, &p->source[i].weight, err);
        if (r == 0)
            r = find_bias(job, s->bias, n, &p->source[i].bias, err);
        if (r == 0)
            r = find_bias(job, s->more_bias, n, &p->source[i].more_bias, err);
    }
    return r;
}

static int piece_rows(const struct pn_part *part)
{
    int rows = PIECE_BYTES / (int)sizeof(float) / part->k / PN_PANEL * PN_PANEL;
    return is_whole(part) ? part->n : PN_MAX(rows, PN_PANEL);
}

static size_t count_pieces(const struct pn_part *part)
{
    int step = piece_rows(part);
    return ((size_t)part->n + (size_t)step - 1) / (size_t)step;
}

static void cut_part(struct packing *p, size_t i)
{
    const struct pn_part *part = &p->parts->part[i];
    int step = piece_rows(part);
    for (int channel = 0; channel < part->n; channel += step) {
        struct piece piece = { i, channel, PN_MIN(step, part->n - channel) };
        p->piece[p->n++] = piece;
        p->values = PN_MAX(p->values, (size_t)piece.rows * (size_t)part->k);
        p->bias_values = PN_MAX(p->bias_values, (size_t)piece.rows);
    }
}

static int check_part(const struct pn_part *part, struct pn_err *err)
{
    if (pn_part_size(part) == 0 || part->taps < 1)
        return pn_fail(err, PN_EFORMAT, "%s is too large or empty", part->name);
    bool whole = is_whole(part);
    if (part->n_sources == 0 || (size_t)part->n % part->n_sources != 0 || (whole && part->n_sources != 1) ||
        (whole && part->n % part->taps != 0))
        return pn_fail(err, PN_EFORMAT, "%s cannot be made of its tensors", part->name);
    return 0;
}

static int prepare(struct packing *p, const struct pn_pack_job *job, struct pn_err *err)
{
    size_t n = 0;
    int r = 0;
    p->source = calloc(PN_MAX(p->parts->n_sources, (size_t)1), sizeof(*p->source));
    p->block = calloc(PN_MAX(p->parts->n, (size_t)1), sizeof(*p->block));
    if (!p->source || !p->block)
        return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
    for (size_t i = 0; i < p->parts->n && r == 0; i++) {
        const struct pn_part *part = &p->parts->part[i];
        r = check_part(part, err);
        if (r == 0)
            r = find_sources(p, job, part, err);
        if (r == 0)
            n += count_pieces(part);
    }
    if (r < 0)
        return r;
    p->piece = calloc(PN_MAX(n, (size_t)1), sizeof(*p->piece));
    if (!p->piece)
        return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
    for (size_t i = 0; i < p->parts->n; i++)
        cut_part(p, i);
    return 0;
}

static int add_sections(struct packing *p, struct pn_packed_writer *out, struct pn_err *err)
{
    for (size_t i = 0; i < p->parts->n; i++) {
        const struct pn_part *part = &p->parts->part[i];
        p->block[i] = pn_packed_add(out, part->name, pn_part_size(part), err);
        if (!p->block[i])
            return -PN_EIO;
    }
    return 0;
}

/* ---- doing it ---- */

static bool all_finite(const float *x, size_t n)
{
    bool fine = true;
    for (size_t i = 0; i < n; i++)
        fine &= isfinite(x[i]) != 0;
    return fine;
}

/* False, and the packing has failed, when values cannot be read or are not finite. */
static bool read_values(struct packing *p, const struct pn_tensor *t, int64_t from, int64_t n, float *out)
{
    int r = pn_tensor_f32(t, from, n, out), none = 0;
    if (r == 0 && !all_finite(out, (size_t)n))
        r = -PN_EFORMAT;
    if (r < 0 && atomic_compare_exchange_strong(&p->failed, &none, r))
        atomic_store(&p->culprit, t);
    return r == 0;
}

/* `rows` output channels from the tensors that hold them. */
static bool read_weights(struct packing *p, const struct pn_part *part, const struct piece *q, float *out)
{
    int each = source_rows(part);
    if (is_whole(part))
        return read_values(p, p->source[part->first].weight, 0, (int64_t)part->n * part->k, out);
    for (int done = 0; done < q->rows;) {
        int row = (q->channel + done) % each, rows = PN_MIN(each - row, q->rows - done);
        const struct source *s = &p->source[part->first + (size_t)((q->channel + done) / each)];
        if (!read_values(p, s->weight, (int64_t)row * part->k, (int64_t)rows * part->k,
                         out + (size_t)done * (size_t)part->k))
            return false;
        done += rows;
    }
    return true;
}

/* A source's biases [from, from + n), summed; `more` is room for as many. */
static bool read_bias(struct packing *p, const struct source *s, int from, int n, float *out, float *more)
{
    if (!s->bias)
        memset(out, 0, (size_t)n * sizeof(*out));
    else if (!read_values(p, s->bias, from, n, out))
        return false;
    if (!s->more_bias)
        return true;
    if (!read_values(p, s->more_bias, from, n, more))
        return false;
    for (int i = 0; i < n; i++)
        out[i] += more[i];
    return true;
}

/* Biases of the piece's output channels; a transposed convolution has the same ones for each tap. */
static bool read_biases(struct packing *p, const struct pn_part *part, const struct piece *q, float *out,
                        float *more)
{
    int each = source_biases(part);
    for (int done = 0; done < q->rows;) {
        int row = (q->channel + done) % each, rows = PN_MIN(each - row, q->rows - done);
        size_t at = is_whole(part) ? 0 : (size_t)((q->channel + done) / each);
        if (!read_bias(p, &p->source[part->first + at], row, rows, out + done, more))
            return false;
        done += rows;
    }
    return true;
}

/* [row][channel][tap] to [row][tap][channel] */
static void turn_taps(const float *in, int rows, int channels, int taps, float *out)
{
    for (int r = 0; r < rows; r++, in += channels * taps, out += channels * taps) {
        for (int c = 0; c < channels; c++) {
            for (int tap = 0; tap < taps; tap++)
                out[tap * channels + c] = in[c * taps + tap];
        }
    }
}

/* [k][output][tap] to [tap][output][k] */
static void turn_transposed(const float *in, int k, int outputs, int taps, float *out)
{
    for (int i = 0; i < k; i++) {
        for (int o = 0; o < outputs; o++) {
            for (int tap = 0; tap < taps; tap++)
                out[((size_t)tap * (size_t)outputs + (size_t)o) * (size_t)k + (size_t)i] =
                    in[((size_t)i * (size_t)outputs + (size_t)o) * (size_t)taps + (size_t)tap];
        }
    }
}

/* [n][k] to [k][n] */
static void turn_values(const float *in, int n, int k, float *out)
{
    for (size_t i = 0; i < (size_t)n; i++) {
        for (size_t j = 0; j < (size_t)k; j++)
            out[j * (size_t)n + i] = in[i * (size_t)k + j];
    }
}

/* What goes into the section: `values`, or what `turned` has become. */
static const float *turn(const struct pn_part *part, int rows, const float *values, float *turned)
{
    switch (part->kind) {
    case PN_PART_LINEAR:
    case PN_PART_VALUES:
        return values;
    case PN_PART_CONV:
        turn_taps(values, rows, part->k / part->taps, part->taps, turned);
        return turned;
    case PN_PART_TRANSPOSED:
        turn_transposed(values, part->k, part->n / part->taps, part->taps, turned);
        return turned;
    case PN_PART_TURNED:
        turn_values(values, part->n, part->k, turned);
        return turned;
    }
    PN_UNREACHABLE();
}

static void pack_piece(void *ctx, int i, int thread)
{
    struct packing *p = ctx;
    const struct piece *q = &p->piece[p->first + (size_t)i];
    const struct pn_part *part = &p->parts->part[q->part];
    float *values = p->scratch + (size_t)thread * 2 * (p->values + p->bias_values);
    float *turned = values + p->values, *bias = turned + p->values, *more = bias + p->bias_values;
    size_t row = (size_t)q->channel * (size_t)part->k, n = (size_t)q->rows * (size_t)part->k;
    if (!read_weights(p, part, q, values) || (part->linear && !read_biases(p, part, q, bias, more)))
        return;
    const float *out = turn(part, q->rows, values, turned);
    if (part->linear)
        pn_linear_pack_rows(part->precision, part->n, part->k, q->channel, q->rows, out, bias,
                            p->block[q->part]);
    else
        memcpy((float *)p->block[q->part] + row, out, n * sizeof(float));
}

static int tell_failure(struct packing *p, struct pn_err *err)
{
    int r = atomic_load(&p->failed);
    const struct pn_tensor *t = atomic_load(&p->culprit);
    if (r < 0)
        (void)pn_fail(err, -r, "tensor %.*s cannot be used: %s", (int)PN_MIN(t->name.len, (size_t)100),
                      t->name.ptr,
                      r == -PN_EFORMAT ? "it holds values that are not finite" : pn_error_name(r));
    return r;
}

static int run_pieces(struct packing *p, const struct pn_pack_job *job, struct pn_err *err)
{
    size_t threads = job->pool ? (size_t)pn_pool_threads(job->pool) : 1,
           each = 2 * (p->values + p->bias_values);
    p->scratch = reallocarray(NULL, threads * PN_MAX(each, (size_t)1), sizeof(float));
    if (!p->scratch)
        return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
    for (p->first = 0; p->first < p->n && atomic_load(&p->failed) == 0; p->first += BATCH) {
        pn_pool_run(job->pool, (int)PN_MIN(p->n - p->first, (size_t)BATCH), pack_piece, p);
        if (job->progress)
            job->progress(job->ctx, (double)PN_MIN(p->first + BATCH, p->n) / (double)p->n);
    }
    return tell_failure(p, err);
}

int pn_pack(const struct pn_pack_job *job, struct pn_packed_writer *out, struct pn_err *err)
{
    struct packing p = { .parts = job->parts };
    int r = pn_parts_check(job->parts);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "the list of the model's parts: %s", pn_error_name(r));
    r = prepare(&p, job, err);
    if (r == 0)
        r = add_sections(&p, out, err);
    if (r == 0)
        r = run_pieces(&p, job, err);
    free(p.scratch);
    free(p.piece);
    free(p.block);
    free(p.source);
    return r;
}
