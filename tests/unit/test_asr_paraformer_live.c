/* test_asr_paraformer_live.c - what a streaming Paraformer says while somebody talks: how old its chunks are,
 * and how sure it is of its words. The micro model of tests/data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/paraformer/paraformer.h"
#include "fixtures.h"

#include <math.h>
#include <stdlib.h>

static const struct pn_recognition ANY = { .language = "", .task = "transcribe", .live = true };
enum { CHUNK = 9600, CHUNK_US = 600000 };

static struct {
    struct pn_pool *pool;
    struct pn_recognizer *r;
    float *pcm; /* "九零二七四四六一" */
    size_t n;
} g;

static int open_all(void **state)
{
    (void)state;
    char path[PN_FIXTURE_PATH];
    struct pn_paraformer *p = NULL;
    struct pn_err err = { 0 };
    if (!pn_fixture_data("paraformer/wav/d02.wav", path) || !pn_fixture_wav(path, &g.pcm, &g.n) ||
        !pn_fixture_data("paraformer/models/micro-streaming", path) || pn_pool_new(1, &g.pool, &err) < 0)
        return -1;
    const struct pn_paraformer_options opt = {
        .path = path, .precision = PN_F32, .no_packed_file = true, .pool = g.pool
    };
    if (pn_paraformer_open(&opt, &p, &err) < 0)
        return -1;
    return pn_paraformer_recognizer_new(p, g.pool, &g.r, &err);
}

static int close_all(void **state)
{
    (void)state;
    g.r->ops->free(g.r);
    pn_pool_free(g.pool);
    free(g.pcm);
    return 0;
}

static struct pn_stream *open_stream(void)
{
    struct pn_stream *s = NULL;
    assert_int_equal(g.r->ops->open(g.r, &ANY, &s, NULL), 0);
    s->recognizer = g.r;
    return s;
}

static void feed(struct pn_stream *s, size_t from, size_t n)
{
    assert_int_equal(g.r->ops->feed(s, g.pcm + from, PN_MIN(n, g.n - from)), 0);
}

/* The deadline of the step that is done. */
static int64_t step(struct pn_stream *s)
{
    struct pn_work w = g.r->ops->next(s);
    assert_true(w.phase != 0);
    g.r->ops->step(g.r, w.phase, &s, 1);
    return w.deadline_us;
}

static bool has_work(struct pn_stream *s)
{
    return g.r->ops->next(s).phase != 0;
}

/* A chunk is as old as its last sample, whenever it is computed: what waits behind another gets no younger.
 */
static void test_age_of_chunks(void **state)
{
    (void)state;
    struct pn_stream *s = open_stream();
    const int64_t began_us = 5000000; /* long ago */
    atomic_store(&s->began_us, began_us);
    feed(s, 0, 2 * CHUNK);
    for (int chunk = 1; chunk <= 2; chunk++) {
        double before = g.r->ops->position(s);
        while (g.r->ops->position(s) == before)
            assert_int_equal(step(s), began_us + chunk * CHUNK_US);
    }
    assert_false(has_work(s));
    feed(s, 2 * CHUNK, 1000); /* the end was not known before */
    assert_int_equal(g.r->ops->finish(s), 0);
    assert_true(step(s) > began_us + 3 * CHUNK_US);
    g.r->ops->close(s);
}

/* The mean probability of the tokens so far, which is another one with every token. */
static void test_confidence(void **state)
{
    (void)state;
    struct pn_stream *s = open_stream();
    double last = 0;
    size_t n_tokens = 0, n_changes = 0;
    for (size_t at = 0; at < g.n; at += 1600) {
        struct pn_transcript *t = NULL;
        feed(s, at, 1600);
        while (has_work(s))
            step(s);
        assert_int_equal(g.r->ops->result(s, &t, NULL), 0);
        if (t->n_segments && t->segments[0].n_tokens > n_tokens) {
            double confidence = t->segments[0].confidence;
            assert_true(confidence > 0 && confidence <= 1);
            assert_true(fabs(confidence - exp(t->segments[0].avg_logprob)) < 1e-12);
            assert_true(confidence != last);
            last = confidence;
            n_tokens = t->segments[0].n_tokens;
            n_changes++;
        }
        pn_transcript_free(t);
    }
    assert_true(n_changes >= 2);
    g.r->ops->close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_age_of_chunks),
        cmocka_unit_test(test_confidence),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
