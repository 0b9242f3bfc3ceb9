/* fake_whisper.c - see fake_whisper.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fake_whisper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_MELS = 80, CTX = 448 };

struct pn_whisper_engine {
    struct fake_whisper *fake;
};
struct pn_encoder_run {
    struct fake_whisper *fake;
    int number, n_ctx, steps;
    float mel[];
};
struct pn_cross {
    struct fake_whisper *fake;
    int refs, number, n_ctx;
};
struct pn_self_cache {
    struct fake_whisper *fake;
    int32_t token[CTX];
};

void fake_whisper_open(struct fake_whisper *f, int n_vocab, fake_model_fn fn, void *ctx)
{
    struct pn_str tokens[FAKE_WORD + 26];
    static unsigned char bytes[FAKE_WORD];
    static char words[26][2];
    static const int heads[] = { 0, 1 };
    struct pn_bpe *bpe = NULL;
    for (int i = 0; i < FAKE_WORD; i++) {
        bytes[i] = (unsigned char)i;
        tokens[i] = (struct pn_str){ (const char *)&bytes[i], 1 };
    }
    for (int i = 0; i < 26; i++) {
        words[i][0] = ' ';
        words[i][1] = (char)('a' + i);
        tokens[FAKE_WORD + i] = (struct pn_str){ words[i], 2 };
    }
    *f = (struct fake_whisper){ .fn = fn, .ctx = ctx, .fail_at = -1 };
    f->model.dims = (struct pn_whisper_dims){ .n_mels = N_MELS,
                                              .n_audio_ctx = 1500,
                                              .n_vocab = n_vocab,
                                              .n_text_ctx = CTX,
                                              .n_text_head = 2,
                                              .n_text_layer = 1 };
    f->model.align_heads = heads;
    f->model.n_align_heads = 2;
    memcpy(f->model.name, "fake", sizeof("fake"));
    assert_int_equal(pn_bpe_new(tokens, PN_ARRAY_LEN(tokens), &bpe, NULL), 0);
    assert_int_equal(pn_vocab_new(bpe, n_vocab, &f->model.vocab, NULL), 0);
    assert_int_equal(pn_mel_new(N_MELS, &f->model.mel), 0);
    f->engine = malloc(sizeof(*f->engine));
    f->engine->fake = f;
}

void fake_whisper_close(struct fake_whisper *f)
{
    assert_int_equal(f->n_alive, 0);
    free(f->engine);
    pn_mel_free(f->model.mel);
    pn_vocab_free(f->model.vocab);
}

const struct pn_whisper *pn_whisper_engine_model(const struct pn_whisper_engine *e)
{
    return &e->fake->model;
}

int pn_encoder_run_new(struct pn_whisper_engine *e, int n_ctx, struct pn_encoder_run **ret)
{
    size_t n = (size_t)n_ctx * 2 * N_MELS;
    struct pn_encoder_run *r = malloc(sizeof(*r) + n * sizeof(float));
    *r = (struct pn_encoder_run){ .fake = e->fake, .number = e->fake->n_runs++, .n_ctx = n_ctx };
    for (size_t i = 0; i < n; i++)
        r->mel[i] = NAN; /* whoever leaves a hole shows it */
    e->fake->n_alive++;
    *ret = r;
    return 0;
}

struct pn_encoder_run *pn_encoder_run_free(struct pn_encoder_run *r)
{
    if (r)
        r->fake->n_alive--;
    free(r);
    return NULL;
}

float *pn_encoder_run_mel(struct pn_encoder_run *r)
{
    return r->mel;
}

int pn_encoder_run_step(struct pn_encoder_run *r, int64_t budget_us)
{
    return ++r->steps == 3;
}

struct pn_cross *pn_encoder_run_take_cross(struct pn_encoder_run *r)
{
    struct pn_cross *c = malloc(sizeof(*c));
    int heard = 0;
    for (int i = 0; i < 2 * r->n_ctx; i++) {
        bool any = false;
        for (int m = 0; m < N_MELS; m++) {
            assert_false(isnan(r->mel[i * N_MELS + m]));
            any = any || r->mel[i * N_MELS + m] != 0;
        }
        heard += any;
    }
    *c = (struct pn_cross){ .fake = r->fake, .refs = 1, .number = r->number, .n_ctx = r->n_ctx };
    r->fake->run[r->number] = (struct fake_run){ r->number, r->n_ctx, heard };
    r->fake->n_alive++;
    return c;
}

struct pn_cross *pn_cross_unref(struct pn_cross *c)
{
    if (!c || --c->refs > 0)
        return NULL;
    c->fake->n_alive--;
    free(c);
    return NULL;
}

int pn_self_cache_new(struct pn_whisper_engine *e, struct pn_self_cache **ret)
{
    struct pn_self_cache *c = malloc(sizeof(*c));
    memset(c, 0xff, sizeof(*c));
    c->fake = e->fake;
    e->fake->n_alive++;
    *ret = c;
    return 0;
}

struct pn_self_cache *pn_self_cache_free(struct pn_self_cache *c)
{
    if (c)
        c->fake->n_alive--;
    free(c);
    return NULL;
}

void pn_self_cache_copy(struct pn_self_cache *to, const struct pn_self_cache *from, int n)
{
    assert_ptr_not_equal(to, from);
    memcpy(to->token, from->token, (size_t)n * sizeof(*to->token));
}

/* Attention that walks on by 10 positions a row, on both heads. */
static void walk(const struct pn_decoder_row *row)
{
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < row->cross->n_ctx; i++)
            row->scores[h * row->cross->n_ctx + i] = abs(i / 10 - row->position) == 0 ? 8.0f : 0.0f;
}

int pn_decoder_run(struct pn_whisper_engine *e, const struct pn_decoder_row *rows, int n)
{
    struct fake_whisper *f = e->fake;
    f->n_rows += n;
    if (f->n_calls++ == f->fail_at)
        return -PN_ENOMEM;
    for (int i = 0; i < n; i++) {
        const struct pn_decoder_row *r = &rows[i];
        assert_in_range(r->position, 0, CTX - 1);
        r->cache->token[r->position] = r->token;
        for (int k = 0; k <= r->position; k++)
            assert_true(r->cache->token[k] >= 0); /* written before it is read */
        if (r->logits)
            f->fn(f->ctx, r->cross->number, r->cache->token, r->position + 1, r->logits);
        if (r->scores)
            walk(r);
    }
    return 0;
}
