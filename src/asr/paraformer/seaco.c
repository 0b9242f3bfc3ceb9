/* seaco.c - see seaco.h.
 *
 * Words are embedded once for all requests that bring the same list: the pipeline opens a stream for every
 * sentence of a client. A `pn_hot_list` is shared and counted, the last few that were used are kept with the
 * model. */
#include "asr/paraformer/seaco.h"

#include "asr/paraformer/hotwords.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 8, MOST = 50, ARENA = 1 << 20 };

struct pn_hot_list {
    char *text; /* as the request had it */
    float *row; /* [n][size]: a vector a word; the last one stands for none of them */
    int n, refs;
};

struct pn_hot_lists {
    pthread_mutex_t mu;
    struct pn_hot_list *list[KEPT]; /* guarded by mu, as the counts; newest first */
};

struct pn_pf_hot {
    const struct pn_paraformer *p;
    struct pn_hot_list *list;
    float *embeds; /* [tokens][size] */
    int tokens;
};

/* ---- lists ---- */

struct pn_hot_lists *pn_hot_lists_new(void)
{
    struct pn_hot_lists *l = calloc(1, sizeof(*l));
    if (l)
        pthread_mutex_init(&l->mu, NULL);
    return l;
}

static void list_free(struct pn_hot_list *l)
{
    if (l) {
        free(l->text);
        free(l->row);
        free(l);
    }
}

static void list_unref(struct pn_hot_lists *all, struct pn_hot_list *l)
{
    pthread_mutex_lock(&all->mu);
    bool last = --l->refs == 0;
    pthread_mutex_unlock(&all->mu);
    if (last)
        list_free(l);
}

struct pn_hot_lists *pn_hot_lists_free(struct pn_hot_lists *l)
{
    if (!l)
        return NULL;
    for (int i = 0; i < KEPT; i++)
        list_free(l->list[i]);
    pthread_mutex_destroy(&l->mu);
    free(l);
    return NULL;
}

/* A reference to the list of this text, or NULL. */
static struct pn_hot_list *find(struct pn_hot_lists *all, struct pn_str text)
{
    struct pn_hot_list *found = NULL;
    pthread_mutex_lock(&all->mu);
    for (int i = 0; i < KEPT && all->list[i] && !found; i++) {
        if (!pn_str_is(text, all->list[i]->text))
            continue;
        found = all->list[i];
        found->refs++;
        memmove(all->list + 1, all->list, (size_t)i * sizeof(*all->list));
        all->list[0] = found;
    }
    pthread_mutex_unlock(&all->mu);
    return found;
}

/* The newest list; the longest unused one goes. */
static void keep(struct pn_hot_lists *all, struct pn_hot_list *l)
{
    pthread_mutex_lock(&all->mu);
    struct pn_hot_list *oldest = all->list[KEPT - 1];
    memmove(all->list + 1, all->list, (KEPT - 1) * sizeof(*all->list));
    all->list[0] = l;
    l->refs++;
    bool unused = oldest && --oldest->refs == 0;
    pthread_mutex_unlock(&all->mu);
    if (unused)
        list_free(oldest);
}

/* ---- embedding ---- */

static struct pn_str pieces_of(const void *ctx, struct pn_str word)
{
    return pn_funasr_pieces(ctx, word);
}

static int64_t id_of(const void *ctx, struct pn_str piece)
{
    return pn_funasr_token_id(ctx, piece);
}

/* The vector of a word: the state behind its last token. `room`: tokens' embeddings and both layers' outputs.
 */
static void embed(const struct pn_paraformer *p, const int32_t *ids, int n, float *room, void *scratch,
                  float *row)
{
    const size_t size = (size_t)p->encoder.size;
    float *x = room, *y = room + PN_HOTWORD_IDS_MAX * size, *state = y + PN_HOTWORD_IDS_MAX * size;
    for (int i = 0; i < n; i++)
        memcpy(x + (size_t)i * size, p->seaco.embedding + (size_t)ids[i] * size, size * sizeof(float));
    memset(state, 0, 4 * size * sizeof(float));
    struct pn_lstm_run run = {
        .m = n, .x = x, .ldx = size, .h = state, .c = state + size, .y = y, .ldy = size
    };
    pn_lstm(&p->seaco.lstm[0], &run, scratch);
    run = (struct pn_lstm_run){ .m = n, .x = y, .ldx = size, .h = state + 2 * size, .c = state + 3 * size };
    pn_lstm(&p->seaco.lstm[1], &run, scratch);
    memcpy(row, run.h, size * sizeof(float));
}

/* Words that the model knows, then the entry for none. */
static int embed_words(const struct pn_paraformer *p, const struct pn_hotwords *words, struct pn_hot_list *l)
{
    const size_t size = (size_t)p->encoder.size;
    const struct pn_hotword_vocabulary v = { p->folder, pieces_of, id_of, p->dims.n_vocab - 1 };
    int32_t ids[PN_HOTWORD_IDS_MAX];
    void *scratch = NULL;
    float *room = malloc((2 * PN_HOTWORD_IDS_MAX + 4) * size * sizeof(*room));
    size_t need = PN_MAX(pn_lstm_scratch(&p->seaco.lstm[0]), pn_lstm_scratch(&p->seaco.lstm[1]));
    int r = posix_memalign(&scratch, 64, need) == 0 && room ? 0 : -PN_ENOMEM;
    for (size_t i = 0; i < words->n && r == 0; i++) {
        int n = pn_hotword_ids(&v, words->word[i].text, ids, PN_HOTWORD_IDS_MAX);
        if (n > 0)
            embed(p, ids, n, room, scratch, l->row + (size_t)l->n++ * size);
    }
    if (r == 0)
        embed(p, &(int32_t){ PN_PF_START }, 1, room, scratch, l->row + (size_t)l->n++ * size);
    free(scratch);
    free(room);
    return r;
}

static int list_new(const struct pn_paraformer *p, struct pn_str text, const struct pn_hotwords *words,
                    struct pn_hot_list **ret)
{
    struct pn_hot_list *l = calloc(1, sizeof(*l));
    if (!l)
        return -PN_ENOMEM;
    l->refs = 1;
    l->text = strndup(text.ptr, text.len);
    l->row = malloc((words->n + 1) * (size_t)p->encoder.size * sizeof(*l->row));
    int r = l->text && l->row ? embed_words(p, words, l) : -PN_ENOMEM;
    if (r < 0)
        list_free(l);
    else
        *ret = l;
    return r;
}

static int make_list(const struct pn_paraformer *p, struct pn_str text, struct pn_hot_list **ret,
                     struct pn_err *err)
{
    struct pn_arena *arena = NULL;
    struct pn_hotwords words = { 0 };
    struct pn_hot_list *l = find(p->hot_lists, text);
    if (l) {
        *ret = l;
        return 0;
    }
    int r = pn_arena_new(ARENA, &arena);
    if (r == 0)
        r = pn_hotwords_parse(text, arena, &words, err);
    if (r == 0)
        r = list_new(p, text, &words, &l);
    if (r == 0) {
        keep(p->hot_lists, l);
        *ret = l;
    }
    pn_arena_free(arena);
    return r;
}

/* ---- a stream's ---- */

int pn_pf_hot_new(const struct pn_paraformer *p, struct pn_str hotwords, struct pn_pf_hot **ret,
                  struct pn_err *err)
{
    struct pn_hot_list *l = NULL;
    if (p->dims.seaco.n_cross == 0) {
        *ret = NULL;
        return 0;
    }
    int r = make_list(p, hotwords, &l, err);
    if (r < 0)
        return r;
    struct pn_pf_hot *h = l->n > 1 ? calloc(1, sizeof(*h)) : NULL;
    if (!h) {
        r = l->n > 1 ? -PN_ENOMEM : 0;
        list_unref(p->hot_lists, l);
    } else {
        h->p = p;
        h->list = l;
    }
    if (r == 0)
        *ret = h;
    return r;
}

struct pn_pf_hot *pn_pf_hot_free(struct pn_pf_hot *h)
{
    if (h) {
        list_unref(h->p->hot_lists, h->list);
        free(h->embeds);
        free(h);
    }
    return NULL;
}

int pn_pf_hot_keep(struct pn_pf_hot *h, const struct pn_pf_item *item)
{
    size_t n = (size_t)item->tokens * (size_t)h->p->encoder.size;
    h->embeds = malloc(n * sizeof(*h->embeds));
    if (!h->embeds)
        return -PN_ENOMEM;
    memcpy(h->embeds, item->y, n * sizeof(*h->embeds));
    h->tokens = item->tokens;
    return 0;
}

/* The words that count: all of them, or the best by how much the last block would look at them. */
static int choose(const struct pn_pf_hot *h, struct pn_pf_decoder_work *w, const float *hidden, float *rows)
{
    const struct pn_pf_decoder *d = &h->p->seaco.decoder;
    const size_t size = (size_t)d->dims.size;
    int n = h->list->n, words = n - 1;
    memcpy(rows, h->list->row, (size_t)n * size * sizeof(float));
    if (words <= MOST)
        return n;
    float *score = malloc((size_t)n * sizeof(*score)), *y = malloc((size_t)h->tokens * size * sizeof(*y));
    const struct pn_pf_dec_seq seq = { .tokens = h->tokens, .memory = n };
    int r = score && y ? 0 : -PN_ENOMEM;
    if (r == 0)
        memcpy(y, hidden, (size_t)h->tokens * size * sizeof(*y));
    for (int b = 0; b + 1 < d->dims.n_cross && r == 0; b++)
        r = pn_pf_decoder_run(d, w, b, y, rows, n, &seq, 1);
    if (r == 0)
        r = pn_pf_decoder_interest(d, w, d->dims.n_cross - 1, y, h->tokens, rows, n, score);
    int kept = 0;
    for (; kept < MOST && r == 0; kept++) {
        int best = 0;
        for (int i = 1; i < words; i++)
            best = score[i] > score[best] ? i : best;
        score[best] = -INFINITY;
        memcpy(rows + (size_t)kept * size, h->list->row + (size_t)best * size, size * sizeof(float));
    }
    if (r == 0)
        memcpy(rows + (size_t)kept++ * size, h->list->row + (size_t)words * size, size * sizeof(float));
    free(score);
    free(y);
    return r < 0 ? r : kept;
}

/* The hot word decoder over y [tokens][size] in place. */
static int run_decoder(const struct pn_pf_hot *h, struct pn_pf_decoder_work *w, const float *rows, int n,
                       float *y)
{
    const struct pn_pf_decoder *d = &h->p->seaco.decoder;
    const struct pn_pf_dec_seq seq = { .tokens = h->tokens, .memory = n };
    int r = 0;
    for (int b = 0; b < d->dims.n_cross + d->dims.n_plain && r == 0; b++)
        r = pn_pf_decoder_run(d, w, b, y, rows, n, &seq, 1);
    if (r == 0)
        pn_pf_decoder_finish(d, w, y, h->tokens);
    return r;
}

/* What the words say, of each token: where it is not "none of us", the token is theirs. */
static int merge(const struct pn_pf_hot *h, struct pn_pool *pool, const float *y, struct pn_pf_item *item)
{
    const struct pn_paraformer *p = h->p;
    const size_t n_vocab = (size_t)p->dims.n_vocab, size = (size_t)p->encoder.size;
    void *scratch = NULL;
    float *logits = malloc(n_vocab * sizeof(*logits));
    int r =
        posix_memalign(&scratch, 64, pn_linear_scratch(&p->seaco.output, 1)) == 0 && logits ? 0 : -PN_ENOMEM;
    for (int i = 0; i < item->tokens && r == 0; i++) {
        pn_linear_pool(pool, &p->seaco.output, 1, y + (size_t)i * size, size, logits, n_vocab, PN_STORE,
                       scratch);
        int32_t best = pn_pf_best(logits, n_vocab);
        if (best == p->dims.no_bias)
            continue;
        item->ids[i] = best;
        item->logprob[i] = logits[best] - pn_kern()->logsumexp(logits, n_vocab);
    }
    free(scratch);
    free(logits);
    return r;
}

int pn_pf_hot_apply(struct pn_pf_hot *h, struct pn_pf_item *item, struct pn_pool *pool)
{
    const size_t size = (size_t)h->p->encoder.size, n = (size_t)h->tokens * size;
    struct pn_pf_decoder_work w = { 0 };
    float *rows = malloc((size_t)h->list->n * size * sizeof(*rows)), *y = malloc(n * sizeof(*y));
    int r = rows && y ? pn_pf_decoder_work_init(&w, &h->p->seaco.decoder, pool) : -PN_ENOMEM;
    int words = r == 0 ? choose(h, &w, item->y, rows) : r;
    r = words < 0 ? words : 0;
    if (r == 0) {
        memcpy(y, item->y, n * sizeof(*y));
        r = run_decoder(h, &w, rows, words, y);
    }
    if (r == 0)
        r = run_decoder(h, &w, rows, words, h->embeds);
    if (r == 0) {
        pn_kern()->add(y, h->embeds, n);
        r = merge(h, pool, y, item);
    }
    pn_pf_decoder_work_done(&w);
    free(rows);
    free(y);
    return r;
}
