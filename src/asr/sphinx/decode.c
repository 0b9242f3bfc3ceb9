/* decode.c - one decoder of pocketsphinx, run an utterance at a time.
 *
 * The cepstral mean is computed over the utterance itself, so that nothing of another speaker stays behind; a
 * live-mode decoder would carry the mean on. pocketsphinx does so only where an utterance goes in as a whole
 * (full_utt), and is then gone until its end. So the cepstra are made and normalised here, as it makes them,
 * and go in a frame at a time: the result is the same to the bit, and an utterance that is abandoned can be
 * broken off at any frame of the first pass over the lexicon's tree, which is nine tenths of the work.
 *
 * The second pass, over the words that the first one found, is inside ps_end_utt: it ends by itself, and
 * so does one that begins for an abandoned utterance, which has to find nothing. */
#include "asr/sphinx/decode.h"

#include <pocketsphinx.h>
#include <sphinxbase/err.h>
#include <sphinxbase/feat.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A fluent speaker says 100 words in 30 s; a word of 30 bytes costs about 80 here. */
#define WORDS_LIMIT ((size_t)1 << 20)

/* Less than this many samples are fewer frames than one phone has states. */
#define MIN_SAMPLES 1600

/* Times the language weight: every word is then less likely than what the beams keep. */
#define NO_WORD 100

struct pn_sphinx_decoder {
    cmd_ln_t *config;
    ps_decoder_t *ps;
    ngram_model_t *lm; /* ps's */
};

/* ---- loading ---- */

static void discard_message(void *user, err_lvl_t level, const char *fmt, ...)
{
    (void)user, (void)level, (void)fmt;
}

/* Its log is for those who train models; what matters comes back as a return value. Process-wide there. */
static void silence_log(void)
{
    err_set_logfp(NULL);
    err_set_callback(discard_message, NULL);
}

struct model_paths {
    char acoustic[512], language[512], dictionary[512];
};

static int find_model(const char *dir, struct model_paths *m, struct pn_err *err)
{
    const struct {
        char *path;
        const char *name;
    } files[] = { { m->acoustic, "en-us" },
                  { m->language, "en-us.lm.bin" },
                  { m->dictionary, "cmudict-en-us.dict" } };
    for (size_t i = 0; i < PN_ARRAY_LEN(files); i++) {
        snprintf(files[i].path, sizeof(m->acoustic), "%s/%s", dir, files[i].name);
        if (access(files[i].path, R_OK) != 0)
            return pn_fail(err, PN_ENOTFOUND, "sphinx: %.160s is missing: install pocketsphinx-en-us",
                           files[i].path);
    }
    return 0;
}

/* Beside the defaults: silence is kept, since removing it shifts all times; the noise tracker is off, since
 * it adapts. Measured on real speech and on its mp3, aac, vorbis and opus copies: the default beams lose
 * words, 8 Gaussians instead of 4 keep low bit rates readable, and a language weight of 8 instead of 6.5 is a
 * fifth faster with the same text. */
static cmd_ln_t *make_config(const struct model_paths *m)
{
    return cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", m->acoustic, "-lm", m->language, "-dict", m->dictionary,
                       "-remove_silence", "no", "-remove_noise", "no", "-beam", "1e-60", "-wbeam", "1e-40",
                       "-lw", "8", "-topn", "8", (char *)NULL);
}

/* Of its one search, whose name ps_get_search would tell at the price of a leak. */
static ngram_model_t *language_model(ps_decoder_t *ps)
{
    ps_search_iter_t *search = ps_search_iter(ps);
    ngram_model_t *lm = ps_get_lm(ps, ps_search_iter_val(search));
    ps_search_iter_free(search);
    return lm;
}

int pn_sphinx_decoder_new(const char *model_dir, struct pn_sphinx_decoder **ret, struct pn_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, silence_log);
    struct model_paths paths;
    int r = find_model(model_dir, &paths, err);
    if (r < 0)
        return r;
    struct pn_sphinx_decoder *d = calloc(1, sizeof(*d));
    if (!d)
        return pn_fail(err, PN_ENOMEM, "no memory for a decoder");
    d->config = make_config(&paths);
    d->ps = d->config ? ps_init(d->config) : NULL;
    if (!d->ps) {
        pn_sphinx_decoder_free(d);
        return pn_fail(err, PN_EFORMAT, "sphinx: the model in %.160s cannot be loaded", model_dir);
    }
    d->lm = language_model(d->ps);
    ps_get_feat(d->ps)->cmn = CMN_NONE; /* the model's feat.params say "batch", whatever the options say */
    *ret = d;
    return 0;
}

struct pn_sphinx_decoder *pn_sphinx_decoder_free(struct pn_sphinx_decoder *d)
{
    if (d) {
        if (d->ps)
            ps_free(d->ps);
        if (d->config)
            cmd_ln_free_r(d->config);
        free(d);
    }
    return NULL;
}

/* ---- cepstra ---- */

struct cepstra {
    mfcc_t **frames; /* pointers to rows of `width`, and behind them the rows */
    int n;           /* frames, with those that repeat the last one */
    int width;
};

static int cepstra_init(struct cepstra *c, size_t n_max, int width)
{
    size_t row = (size_t)width * sizeof(mfcc_t);
    c->frames = calloc(n_max, sizeof(*c->frames) + row);
    if (!c->frames)
        return -PN_ENOMEM;
    mfcc_t *rows = (mfcc_t *)(c->frames + n_max);
    for (size_t i = 0; i < n_max; i++)
        c->frames[i] = rows + i * (size_t)width;
    c->n = 0;
    c->width = width;
    return 0;
}

/* The front end over all samples; room for `n_more` frames is left behind the last. */
static int front_end(fe_t *fe, const struct pn_sphinx_utterance *u, int n_more, struct cepstra *c)
{
    const int16 *pcm = u->pcm;
    size_t n_samples = u->n_samples;
    int32 n, n_tail;
    fe_start_stream(fe);
    fe_start_utt(fe);
    fe_process_frames(fe, NULL, &n_samples, NULL, &n, NULL); /* how many at most, but for the tail */
    int r = cepstra_init(c, (size_t)n + 1 + (size_t)n_more, fe_get_output_size(fe));
    if (r < 0)
        return r;
    if (fe_process_frames(fe, &pcm, &n_samples, c->frames, &n, NULL) < 0)
        return -PN_EFORMAT;
    fe_end_utt(fe, c->frames[n], &n_tail);
    c->n = n + n_tail;
    return 0;
}

static bool has_energy(const mfcc_t *frame)
{
    return !(frame[0] < 0);
}

/* As cmn() of sphinxbase: of the frames with energy. Without any, nothing is left to decode. */
static void subtract_mean(struct cepstra *c)
{
    int n_loud = 0;
    for (int i = 0; i < c->n; i++)
        n_loud += has_energy(c->frames[i]);
    if (n_loud == 0)
        c->n = 0;
    for (int k = c->width - 1; k >= 0;
         k--) { /* the energy comes last: until then it tells which frames count */
        mfcc_t sum = 0;
        for (int i = 0; i < c->n; i++)
            if (has_energy(c->frames[i]))
                sum += c->frames[i][k];
        mfcc_t mean = sum / (mfcc_t)PN_MAX(n_loud, 1);
        for (int i = 0; i < c->n; i++)
            c->frames[i][k] -= mean;
    }
}

/* What the decoder's full_utt would make of the samples; free c->frames. */
static int make_cepstra(ps_decoder_t *ps, const struct pn_sphinx_utterance *u, struct cepstra *c)
{
    int window = (int)feat_window_size(ps_get_feat(ps));
    int r = front_end(ps_get_fe(ps), u, window, c);
    if (r < 0)
        return r;
    subtract_mean(c);
    for (int i = 0; i < window && c->n > 0; i++, c->n++) /* the differences of the last frames need more */
        memcpy(c->frames[c->n], c->frames[c->n - 1], (size_t)c->width * sizeof(mfcc_t));
    return 0;
}

/* ---- one utterance ---- */

/* <s>, <sil>, [NOISE], ++COUGH++: the dictionary's names for what is no word. */
static bool is_filler(const char *word)
{
    return word[0] == '<' || word[0] == '[' || word[0] == '+';
}

/* "and" of "and(2)". */
static size_t spelling_len(const char *word)
{
    const char *mark = strchr(word, '(');
    return mark && mark != word ? (size_t)(mark - word) : strlen(word);
}

static int keep_word(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u, ps_seg_t *seg)
{
    const char *word = ps_seg_word(seg);
    if (is_filler(word))
        return 0;
    char *text = pn_arena_strndup(u->arena, word, spelling_len(word));
    if (!text)
        return -PN_ENOMEM;
    struct pn_sphinx_word *w = &u->words[u->n_words++];
    int32 acoustic, language, backoff;
    double logprob =
        logmath_log_to_ln(ps_get_logmath(d->ps), ps_seg_prob(seg, &acoustic, &language, &backoff));
    w->text = text;
    w->logprob = PN_MIN(logprob, 0.0);
    ps_seg_frames(seg, &w->start, &w->end);
    w->end++;
    return 0;
}

static size_t count_segments(ps_decoder_t *ps)
{
    size_t n = 0;
    for (ps_seg_t *seg = ps_seg_iter(ps); seg; seg = ps_seg_next(seg))
        n++;
    return n;
}

static int keep_words(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u)
{
    size_t n = count_segments(d->ps);
    if (n == 0)
        return 0; /* nothing was understood */
    int r = pn_arena_new(WORDS_LIMIT, &u->arena);
    if (r < 0)
        return r;
    u->words = pn_arena_alloc(u->arena, n * sizeof(*u->words));
    if (!u->words)
        return -PN_ENOMEM;
    ps_seg_t *seg = ps_seg_iter(d->ps);
    while (seg && r == 0) {
        r = keep_word(d, u, seg);
        seg = r == 0 ? ps_seg_next(seg) : (ps_seg_free(seg), NULL);
    }
    return r;
}

static bool is_abandoned(const struct pn_sphinx_utterance *u)
{
    return atomic_load_explicit(&u->abandoned, memory_order_relaxed);
}

static int search(ps_decoder_t *ps, struct pn_sphinx_utterance *u, const struct cepstra *c)
{
    for (int i = 0; i < c->n; i++) {
        if (is_abandoned(u))
            return -PN_ECANCELLED;
        if (ps_process_cep(ps, c->frames + i, 1, FALSE, FALSE) < 0)
            return -PN_EFORMAT;
        atomic_store_explicit(&u->n_searched, i + 1, memory_order_relaxed);
    }
    return 0;
}

/* The language model with its weight multiplied: at 1 as it was loaded. */
static void weigh_language(struct pn_sphinx_decoder *d, float factor)
{
    ngram_model_apply_weights(d->lm, cmd_ln_float32_r(d->config, "-lw") * factor,
                              cmd_ln_float32_r(d->config, "-wip"));
}

/* The second pass goes over all that was searched, unless no word is likely enough to follow another: then
 * it has nothing to compute. */
static int end_utterance(struct pn_sphinx_decoder *d, bool wanted)
{
    if (!wanted)
        weigh_language(d, NO_WORD);
    int r = ps_end_utt(d->ps);
    if (!wanted)
        weigh_language(d, 1);
    return r < 0 ? -PN_EFORMAT : 0;
}

static int decode_cepstra(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u, const struct cepstra *c)
{
    if (ps_start_stream(d->ps) < 0 || ps_start_utt(d->ps) < 0)
        return -PN_EFORMAT;
    int r = search(d->ps, u, c);
    int ended = end_utterance(d, r == 0 && !is_abandoned(u));
    if (r == 0)
        r = is_abandoned(u) ? -PN_ECANCELLED : ended;
    return r == 0 ? keep_words(d, u) : r;
}

static int decode(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u)
{
    struct cepstra c = { 0 };
    if (u->n_samples < MIN_SAMPLES)
        return 0;
    int r = is_abandoned(u) ? -PN_ECANCELLED : make_cepstra(d->ps, u, &c);
    if (r == 0 && c.n > 0)
        r = decode_cepstra(d, u, &c);
    free(c.frames);
    return r;
}

void pn_sphinx_decode(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u)
{
    u->error = decode(d, u);
    free(u->pcm);
    u->pcm = NULL;
}
