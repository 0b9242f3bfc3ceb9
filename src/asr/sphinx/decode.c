/* decode.c - one decoder of pocketsphinx, run an utterance at a time.
 *
 * An utterance goes in as a whole (full_utt), so that its cepstral mean is computed over itself and nothing
 * of another speaker stays behind; a live-mode decoder would carry the mean on. A decode cannot be broken
 * off half-way. */
#include "asr/sphinx/decode.h"

#include <pocketsphinx.h>
#include <sphinxbase/err.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A fluent speaker says 100 words in 30 s; a word of 30 bytes costs about 80 here. */
#define WORDS_LIMIT ((size_t)1 << 20)

/* Less than this many samples are fewer frames than one phone has states. */
#define MIN_SAMPLES 1600

struct pn_sphinx_decoder {
    cmd_ln_t *config;
    ps_decoder_t *ps;
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
                       "-remove_silence", "no", "-remove_noise", "no", "-cmn", "batch", "-beam", "1e-60",
                       "-wbeam", "1e-40", "-lw", "8", "-topn", "8", (char *)NULL);
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

static int decode(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u)
{
    if (u->n_samples < MIN_SAMPLES)
        return 0;
    if (ps_start_stream(d->ps) < 0 || ps_start_utt(d->ps) < 0)
        return -PN_EFORMAT;
    int frames = ps_process_raw(d->ps, u->pcm, u->n_samples, FALSE, TRUE);
    if (ps_end_utt(d->ps) < 0 || frames < 0)
        return -PN_EFORMAT;
    return keep_words(d, u);
}

void pn_sphinx_decode(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u)
{
    u->error = decode(d, u);
    free(u->pcm);
    u->pcm = NULL;
}
