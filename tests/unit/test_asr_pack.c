/* test_asr_pack.c - from tensors to a packed file and back to the model's pointers: every kind of part, in
 * both precisions, from one thread and several, and what happens to a file that does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/pack.h"
#include "base/splitmix.h"
#include "fixtures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_TENSORS = 16, STACKED = 3, EACH = 40, K = 24, OUTPUTS = 10, TAPS = 3, WIDE = 3000, DEPTH = 100 };

/* A checkpoint of f32 tensors, and a model that wants all of them. */
struct world {
    struct pn_tensor tensor[N_TENSORS];
    size_t n;
    struct pn_parts parts;
    struct pn_linear stack, conv, transposed, lstm, wide;
    struct pn_norm norm;
    const float *values, *turned;
    const char *refused;     /* `bind` fails when this is in the added section */
    char added[8], found[8]; /* the section beside the parts */
    int times_packed;
};

static char folder[PN_FIXTURE_PATH], source[PN_FIXTURE_PATH + 8], packed_path[PN_FIXTURE_PATH + 24];

static void add_tensor(struct world *w, const char *name, int64_t a, int64_t b, int64_t c)
{
    struct pn_tensor *t = &w->tensor[w->n++];
    *t = (struct pn_tensor){ .name = pn_str(name), .dtype = PN_DT_F32, .n_dims = 3, .dim = { a, b, c } };
    assert_int_equal(pn_tensor_measure(t), 0);
    float *data = malloc(t->size);
    assert_non_null(data);
    uint64_t random = w->n;
    for (int64_t i = 0; i < t->n; i++)
        data[i] = (float)(pn_splitmix64(&random) >> 40) * 0x1p-24f - 0.5f;
    t->data = data;
}

static const struct pn_tensor *tensor(const struct world *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (pn_str_is(w->tensor[i].name, name))
            return &w->tensor[i];
    return NULL;
}

static float at(const struct world *w, const char *name, int64_t i)
{
    return ((const float *)tensor(w, name)->data)[i];
}

static int find(const void *from, const char *name, const int64_t want[3], const struct pn_tensor **ret,
                struct pn_err *err)
{
    const struct pn_tensor *t = tensor(from, name);
    int r = pn_tensor_expect(t, name, want, err);
    if (r == 0)
        *ret = t;
    return r;
}

static int add_section(void *model, struct pn_packed_writer *out, struct pn_err *err)
{
    struct world *w = model;
    w->times_packed++;
    char *block = pn_packed_add(out, "words", sizeof(w->added), err);
    if (block)
        memcpy(block, w->added, sizeof(w->added));
    return block ? 0 : -PN_EIO;
}

static int bind_section(void *model, const struct pn_packed *packed, struct pn_err *err)
{
    struct world *w = model;
    size_t size = 0;
    const char *block = pn_packed_find(packed, "words", &size);
    if (!block || size != sizeof(w->found) || (w->refused && strcmp(block, w->refused) == 0))
        return pn_fail(err, PN_EFORMAT, "wrong words");
    memcpy(w->found, block, sizeof(w->found));
    return 0;
}

static void add_tensors(struct world *w)
{
    for (int i = 0; i < STACKED; i++) {
        static const char *const NAMES[][2] = { { "m.a.weight", "m.a.bias" },
                                                { "m.b.weight", "" },
                                                { "m.c.weight", "m.c.bias" } };
        add_tensor(w, NAMES[i][0], EACH, K, 1);
        if (NAMES[i][1][0])
            add_tensor(w, NAMES[i][1], EACH, 1, 1);
    }
    add_tensor(w, "conv.weight", OUTPUTS, K, TAPS);
    add_tensor(w, "conv.bias", OUTPUTS, 1, 1);
    add_tensor(w, "up.weight", K, OUTPUTS, TAPS);
    add_tensor(w, "up.bias", OUTPUTS, 1, 1);
    add_tensor(w, "taps", K, 1, 11);
    add_tensor(w, "norm.weight", K, 1, 1);
    add_tensor(w, "norm.bias", K, 1, 1);
    add_tensor(w, "weight_ih", 4 * K, K, 1);
    add_tensor(w, "bias_ih", 4 * K, 1, 1);
    add_tensor(w, "bias_hh", 4 * K, 1, 1);
    add_tensor(w, "wide.weight", WIDE, DEPTH, 1);
}

static void add_parts(struct world *w, enum pn_precision q)
{
    struct pn_parts *p = &w->parts;
    pn_parts_prefix(p, "%c.", 'm');
    pn_parts_stack(p, q, STACKED * EACH, K, "abc", &w->stack);
    pn_parts_owner(p, "a", true);
    pn_parts_owner(p, "b", false);
    pn_parts_owner(p, "c", true);
    pn_parts_prefix(p, "%s", "");
    pn_parts_conv(p, PN_F32, OUTPUTS, K, TAPS, "conv", &w->conv);
    pn_parts_transposed(p, PN_F32, K, OUTPUTS, TAPS, "up", &w->transposed);
    pn_parts_turned(p, K, 11, "taps", &w->turned);
    pn_parts_norm(p, K, "norm", &w->norm);
    pn_parts_values(p, EACH, K, "m.a.weight", &w->values);
    pn_parts_stack(p, PN_F32, 4 * K, K, "lstm", &w->lstm);
    pn_parts_source(p, "weight_ih", "bias_ih", "bias_hh");
    pn_parts_linear(p, q, WIDE, DEPTH, "wide", false, &w->wide);
    assert_int_equal(pn_parts_check(p), 0);
}

/* Without parts: these point into the world, so they are added where it stays. */
static struct world make_world(void)
{
    struct world w = { .added = "hello" };
    add_tensors(&w);
    return w;
}

static void free_world(struct world *w)
{
    pn_parts_done(&w->parts);
    for (size_t i = 0; i < w->n; i++)
        free((void *)(uintptr_t)w->tensor[i].data);
}

static struct pn_pack_job job_of(struct world *w, enum pn_precision q, struct pn_pool *pool, bool file)
{
    return (struct pn_pack_job){ .key = { "test", pn_precision_name(q), 1, { .size = 7 } },
                                 .parts = &w->parts,
                                 .find = find,
                                 .from = w,
                                 .add = add_section,
                                 .bind = bind_section,
                                 .model = w,
                                 .path = source,
                                 .cache_dir = "",
                                 .no_packed_file = !file,
                                 .pool = pool };
}

static struct pn_packed *open_world(struct world *w, enum pn_precision q, struct pn_pool *pool, bool file)
{
    struct pn_pack_job job = job_of(w, q, pool, file);
    struct pn_packed *packed = NULL;
    struct pn_err err = { 0 };
    if (pn_pack_open(&job, &packed, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(w->found, w->added);
    return packed;
}

/* Row `row` of a layer is `want`: exactly in f32, within half a step of its scale at int8. */
static void check_row(const struct pn_linear *l, int row, const float *want, float bias)
{
    float out[DEPTH];
    assert_in_range(l->k, 1, DEPTH);
    pn_linear_row(l, row, out);
    for (int i = 0; i < l->k; i++)
        assert_true(fabsf(out[i] - want[i]) <= (l->precision == PN_F32 ? 0 : 0.501f * l->scale[row]));
    assert_true(l->bias[row] == bias);
}

static void check_stack(const struct world *w)
{
    static const char *const NAMES[] = { "m.a.weight", "m.b.weight", "m.c.weight" };
    static const char *const BIASES[] = { "m.a.bias", "", "m.c.bias" };
    assert_int_equal(w->stack.n, STACKED * EACH);
    for (int row = 0; row < STACKED * EACH; row++) {
        const float *want = (const float *)tensor(w, NAMES[row / EACH])->data + row % EACH * K;
        const char *bias = BIASES[row / EACH];
        check_row(&w->stack, row, want, *bias ? at(w, bias, row % EACH) : 0);
    }
}

static void check_convolutions(const struct world *w)
{
    float want[TAPS * K];
    assert_int_equal(w->conv.k, TAPS * K);
    for (int o = 0; o < OUTPUTS; o++) {
        for (int tap = 0; tap < TAPS; tap++)
            for (int c = 0; c < K; c++)
                want[tap * K + c] = at(w, "conv.weight", (o * K + c) * TAPS + tap);
        check_row(&w->conv, o, want, at(w, "conv.bias", o));
    }
    assert_int_equal(w->transposed.n, TAPS * OUTPUTS);
    for (int tap = 0; tap < TAPS; tap++)
        for (int o = 0; o < OUTPUTS; o++) {
            for (int c = 0; c < K; c++)
                want[c] = at(w, "up.weight", (c * OUTPUTS + o) * TAPS + tap);
            check_row(&w->transposed, tap * OUTPUTS + o, want, at(w, "up.bias", o));
        }
}

static void check_values(const struct world *w)
{
    for (int c = 0; c < K; c++) {
        assert_true(w->norm.gamma[c] == at(w, "norm.weight", c) && w->norm.beta[c] == at(w, "norm.bias", c));
        for (int tap = 0; tap < 11; tap++)
            assert_true(w->turned[tap * K + c] == at(w, "taps", c * 11 + tap));
    }
    assert_memory_equal(w->values, tensor(w, "m.a.weight")->data, EACH * K * sizeof(float));
}

static void check_world(const struct world *w)
{
    check_stack(w);
    check_convolutions(w);
    check_values(w);
    for (int row = 0; row < 4 * K; row++)
        check_row(&w->lstm, row, (const float *)tensor(w, "weight_ih")->data + row * K,
                  at(w, "bias_ih", row) + at(w, "bias_hh", row));
    for (int row = 0; row < WIDE; row += 7)
        check_row(&w->wide, row, (const float *)tensor(w, "wide.weight")->data + row * DEPTH, 0);
}

static int set_up(void **state)
{
    if (!pn_fixture_temp_dir(folder))
        return -1;
    (void)snprintf(source, sizeof(source), "%.900s/m.pt", folder);
    FILE *f = fopen(source, "w");
    return f ? fclose(f) : -1;
}

static int tear_down(void **state)
{
    pn_fixture_remove_dir(folder);
    return 0;
}

static void note_progress(void *ctx, double fraction)
{
    double *last = ctx;
    assert_true(fraction > *last && fraction <= 1);
    *last = fraction;
}

static void test_all_kinds(void **state)
{
    for (int i = 0; i < 4; i++) {
        enum pn_precision q = i % 2 ? PN_INT8 : PN_F32;
        struct pn_pool *pool = NULL;
        double last = 0;
        struct world w = make_world();
        struct pn_packed *packed = NULL;
        add_parts(&w, q);
        assert_true(i < 2 || pn_pool_new(3, &pool, NULL) == 0);
        struct pn_pack_job job = job_of(&w, q, pool, false);
        job.progress = note_progress;
        job.ctx = &last;
        assert_int_equal(pn_pack_open(&job, &packed, NULL), 0);
        assert_true(last == 1);
        check_world(&w);
        assert_int_equal(w.wide.precision, q);
        assert_int_equal(w.lstm.precision, PN_F32);
        pn_packed_close(packed);
        pn_pool_free(pool);
        free_world(&w);
    }
}

static void test_file(void **state)
{
    struct world w = make_world();
    add_parts(&w, PN_INT8);
    (void)snprintf(packed_path, sizeof(packed_path), "%s.int8.pnk", source);
    pn_packed_close(open_world(&w, PN_INT8, NULL, true));
    assert_int_equal(access(packed_path, R_OK), 0);
    assert_int_equal(w.times_packed, 1);
    struct pn_packed *packed = open_world(&w, PN_INT8, NULL, true); /* as it is */
    assert_int_equal(w.times_packed, 1);
    check_world(&w);
    pn_packed_close(packed);

    w.refused = "hello"; /* the section beside the parts does not fit any more */
    memcpy(w.added, "other", 6);
    packed = open_world(&w, PN_INT8, NULL, true);
    assert_int_equal(w.times_packed, 2);
    check_world(&w);
    pn_packed_close(packed);

    struct pn_linear more; /* a file that lacks a part */
    pn_parts_linear(&w.parts, PN_F32, WIDE, DEPTH, "wide", false, &more);
    (void)snprintf(w.parts.part[w.parts.n - 1].name, PN_PART_NAME, "wide again");
    packed = open_world(&w, PN_INT8, NULL, true);
    assert_int_equal(w.times_packed, 3);
    check_row(&more, 5, (const float *)tensor(&w, "wide.weight")->data + 5 * DEPTH, 0);
    pn_packed_close(packed);
    free_world(&w);
}

/* No right to write: in memory. */
static void test_no_room_for_a_file(void **state)
{
    struct world w = make_world();
    add_parts(&w, PN_F32);
    struct pn_pack_job job = job_of(&w, PN_F32, NULL, true);
    struct pn_packed *packed = NULL;
    job.path = "/proc/version";
    assert_int_equal(pn_pack_open(&job, &packed, NULL), 0);
    check_world(&w);
    pn_packed_close(packed);
    free_world(&w);
}

static void refused(struct world *w, const char *says)
{
    struct pn_pack_job job = job_of(w, PN_F32, NULL, false);
    struct pn_packed *packed = NULL;
    struct pn_err err = { 0 };
    int r = pn_pack_open(&job, &packed, &err);
    if (r == 0 || err.code != -r || !strstr(err.text, says))
        fail_msg("%d %s; expected ... %s ...", r, err.text, says);
    assert_null(packed);
}

static void test_refused(void **state)
{
    struct world w = make_world();
    struct pn_linear l;
    const float *v;
    pn_parts_linear(&w.parts, PN_F32, 5, 5, "none", true, &l);
    refused(&w, "no tensor none.weight");
    pn_parts_done(&w.parts);
    pn_parts_linear(&w.parts, PN_F32, WIDE, DEPTH + 1, "wide", false, &l);
    refused(&w, "tensor wide.weight has the shape 3000 x 100 x 1 instead of 3000 x 101 x 1");
    pn_parts_done(&w.parts);
    pn_parts_linear(&w.parts, PN_F32, WIDE, DEPTH, "wide", true, &l);
    refused(&w, "no tensor wide.bias");
    pn_parts_done(&w.parts);
    pn_parts_stack(&w.parts, PN_F32, WIDE, DEPTH, "empty", &l);
    refused(&w, "empty cannot be made");
    pn_parts_done(&w.parts);
    pn_parts_conv(&w.parts, PN_F32, 1 << 20, 1 << 20, 1 << 20, "conv", &l);
    refused(&w, "conv is too large");
    pn_parts_done(&w.parts);
    pn_parts_values(&w.parts, 1 << 30, 1 << 30, "taps", &v);
    refused(&w, "taps is too large");
    pn_parts_done(&w.parts);
    pn_parts_prefix(&w.parts, "%s", "a.name.that.is.longer.than.a.section.of.a.packed.file.may.be.called");
    pn_parts_values(&w.parts, 1, 1, "taps", &v);
    assert_int_equal(pn_parts_check(&w.parts), -PN_ELIMIT);
    refused(&w, "m.pt");
    pn_parts_done(&w.parts);
    free_world(&w);
}

static void test_values_that_are_none(void **state)
{
    static const char *const NAMES[] = {
        "m.b.weight", "m.c.bias", "bias_hh", "up.bias", "up.weight", "taps"
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++) {
        struct world w = make_world();
        add_parts(&w, PN_F32);
        const struct pn_tensor *t = tensor(&w, NAMES[i]);
        ((float *)(uintptr_t)t->data)[t->n - 1] = i % 2 ? NAN : INFINITY;
        refused(&w, NAMES[i]);
        free_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room_for_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values_that_are_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
