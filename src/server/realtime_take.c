/* realtime_take.c - see realtime_take.h.
 *
 * Where silence ends turns, every sentence of the stream is a turn (realtime_turn.h) from its beginning on.
 * Where the client commits, and when it does so in between, one turn takes all the sentences that are left.
 */
#include "server/realtime_take.h"

#include "asr/vad/vad.h"
#include "base/clock.h"
#include "base/list.h"
#include "server/speech.h"
#include "server/state.h"

#include <stdlib.h>
#include <string.h>

#define PROTOCOL "realtime" /* in metrics */

enum {
    TAKES_MAX = 4, /* from there on the client has to wait */
    HOTWORDS_MAX = 16384
};

struct pn_rt_take {
    struct pn_rt_take *prev, *next;
    struct pn_rt *rt;
    struct pn_speech *speech;         /* NULL: it has ended */
    struct pn_transcript *transcript; /* the last snapshot; NULL: none yet */
    double base_ms;                   /* where it begins in the session's audio */
    bool hears_turns, early, logprobs;
    bool deaf;     /* sentences that are not turns yet will be none */
    size_t n_seen; /* sentences that have become turns or belong to one */
    struct pn_rt_turn *turns;
};

static const struct pn_server_metrics *metrics_of(const struct pn_rt_take *t)
{
    return &pn_ws_server(t->rt->voice.ws)->m;
}

/* ---- turns ------------------------------------------------------------------------------------------- */

static struct pn_rt_turn *add_turn(struct pn_rt_take *t)
{
    struct pn_rt_turn *u = malloc(sizeof(*u)), **at = &t->turns;
    if (!u)
        return NULL;
    pn_rt_turn_init(u, t->n_seen, t->early);
    pn_rt_new_item(t->rt, u->item_id);
    u->began_us = pn_now_us();
    u->start_ms = PN_MAX(t->base_ms, t->rt->buffer_ms);
    u->end_ms = t->rt->heard_ms;
    while (*at)
        at = &(*at)->next;
    *at = u;
    return u;
}

static void remove_turn(struct pn_rt_take *t, struct pn_rt_turn *u)
{
    struct pn_rt_turn **at = &t->turns;
    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
    pn_rt_turn_done(u);
    free(u);
}

static struct pn_rt_words words_of(const struct pn_rt_take *t, const struct pn_rt_turn *u)
{
    struct pn_rt_words w = { 0 };
    if (!t->logprobs || !t->transcript || !t->transcript->word_times)
        return w;
    size_t from = pn_rt_turn_segments(u, t->transcript, &w.n);
    w.segments = t->transcript->segments + from;
    return w;
}

static void say_delta(struct pn_rt_take *t, const struct pn_rt_turn *u, struct pn_str delta)
{
    if (delta.len == 0)
        return;
    if (t->hears_turns && u->said.len == delta.len)
        pn_metric_observe(metrics_of(t)->live_first, (double)(pn_now_us() - u->began_us) / 1e6, PROTOCOL);
    pn_rt_say_delta(&t->rt->voice, u->item_id, delta, (struct pn_rt_words){ 0 });
}

static void count(struct pn_rt_take *t, const struct pn_rt_turn *u)
{
    const struct pn_server_metrics *m = metrics_of(t);
    pn_metric_add(m->live_utterances, 1, PROTOCOL);
    pn_metric_add(m->live_audio, (u->end_ms - u->start_ms) / 1000, PROTOCOL);
    pn_metric_observe(m->live_final, (double)(pn_now_us() - u->committed_us) / 1e6, PROTOCOL);
}

static void say_segments(struct pn_rt_take *t, const struct pn_rt_turn *u)
{
    size_t n, from = pn_rt_turn_segments(u, t->transcript, &n);
    for (size_t i = from; i < from + n; i++)
        pn_rt_say_segment(&t->rt->voice, u->item_id, &t->transcript->segments[i], t->base_ms / 1000);
}

static void fail_turn(struct pn_rt_take *t, struct pn_rt_turn *u, int code, const struct pn_err *err)
{
    struct pn_rt_failure f = pn_rt_failure_of(code, err);
    if (!u->committed)
        pn_rt_commit_item(t->rt, u->item_id);
    pn_rt_say_failed(&t->rt->voice, u->item_id, &f);
    remove_turn(t, u);
}

static void complete_turn(struct pn_rt_take *t, struct pn_rt_turn *u)
{
    static const struct pn_transcript nothing = { .language = "", .live_text = "" };
    const struct pn_transcript *now = t->transcript ? t->transcript : &nothing;
    struct pn_rt *rt = t->rt;
    struct pn_str delta;
    bool differs;
    int r = pn_rt_turn_last(u, now, &delta, &differs);
    if (r < 0) {
        fail_turn(t, u, r, &(struct pn_err){ 0 });
        return;
    }
    struct pn_str text = { u->said.len ? u->said.ptr : "", u->said.len };
    struct pn_rt_item *item = pn_rt_items_find(&rt->items, pn_str(u->item_id));
    if (item)
        pn_rt_item_set(item, text);
    say_delta(t, u, delta);
    if (differs)
        say_segments(t, u);
    count(t, u);
    pn_rt_say_completed(&rt->voice, u->item_id, text, now->language, (u->end_ms - u->start_ms) / 1000,
                        words_of(t, u));
    remove_turn(t, u);
}

static void commit_turn(struct pn_rt_take *t, struct pn_rt_turn *u)
{
    u->committed = true;
    u->committed_us = pn_now_us();
    pn_rt_commit_item(t->rt, u->item_id);
}

/* The sentence has ended in silence. */
static void stop_turn(struct pn_rt_take *t, struct pn_rt_turn *u, double end_ms)
{
    struct pn_rt *rt = t->rt;
    u->end_ms = end_ms;
    pn_rt_say_stopped(&rt->voice, u->item_id, end_ms);
    commit_turn(t, u);
    if (rt->take == t)
        rt->buffer_ms = PN_MAX(rt->buffer_ms, end_ms);
    rt->quiet_us = pn_now_us();
}

/* False when it is over and gone. */
static void move_turn(struct pn_rt_take *t, struct pn_rt_turn *u, bool ended)
{
    const struct pn_transcript *now = t->transcript;
    const struct pn_sentence *s = now && u->first < now->n_sentences ? &now->sentences[u->first] : NULL;
    struct pn_str delta = { 0 };
    if (s && !u->rest && !u->committed && s->end >= 0)
        stop_turn(t, u, t->base_ms + 1000 * s->end);
    int r = now ? pn_rt_turn_news(u, now, &delta) : 0;
    if (r < 0) {
        fail_turn(t, u, r, &(struct pn_err){ 0 });
        return;
    }
    say_delta(t, u, delta);
    if (!ended && (u->rest || !s || !s->closed))
        return;
    if (!u->committed)
        stop_turn(t, u, u->end_ms);
    complete_turn(t, u);
}

/* Sentences that nobody has heard of yet. */
static int begin_turns(struct pn_rt_take *t)
{
    const struct pn_transcript *now = t->transcript;
    for (; t->n_seen < now->n_sentences; t->n_seen++) {
        struct pn_rt_turn *u = t->deaf ? NULL : add_turn(t);
        if (t->deaf)
            continue;
        if (!u)
            return -PN_ENOMEM;
        u->start_ms = t->base_ms + 1000 * now->sentences[t->n_seen].start;
        pn_rt_say_started(&t->rt->voice, u->item_id, u->start_ms);
    }
    return 0;
}

/* ---- news of the stream ------------------------------------------------------------------------------ */

static void move_turns(struct pn_rt_take *t, bool ended)
{
    for (struct pn_rt_turn *u = t->turns, *next; u; u = next) {
        next = u->next;
        move_turn(t, u, ended);
    }
}

static bool is_hopeless(int code)
{
    return code == -PN_EUNSUPPORTED || code == -PN_ENOTFOUND || code == -PN_EINVAL;
}

/* The recogniser failed, or the machine is too slow for this stream. */
static void failed(struct pn_rt_take *t, int code, const struct pn_err *err)
{
    struct pn_rt *rt = t->rt;
    if (!t->turns && code != -PN_EFULL) {
        struct pn_rt_failure f = pn_rt_failure_of(code, err);
        pn_rt_say_error(&rt->voice, &f);
    }
    while (t->turns)
        fail_turn(t, t->turns, code, err);
    if (rt->take == t) {
        rt->blocked = is_hopeless(code);
        rt->buffer_ms = rt->heard_ms;
    }
    if (code == -PN_EFULL)
        pn_rt_overloaded(rt, 0);
}

static void told(void *ctx, struct pn_speech *sp, const struct pn_live_news *news)
{
    struct pn_rt_take *t = ctx;
    int r = news->code;
    (void)sp;
    if (news->transcript) {
        pn_transcript_free(t->transcript);
        t->transcript = news->transcript;
        if (t->hears_turns && begin_turns(t) < 0)
            r = -PN_ENOMEM;
    }
    if (r < 0)
        failed(t, r, &news->err);
    else
        move_turns(t, news->ended);
    if (news->ended)
        t->speech = NULL;
    if (news->ended || r < 0 || (t->deaf && !t->turns))
        pn_rt_take_free(t);
}

/* ---- the stream -------------------------------------------------------------------------------------- */

/* What the model takes as words that are likely: one after the other. */
static int join_keywords(const struct pn_rt_settings *s, struct pn_buf *out)
{
    pn_buf_init(out, HOTWORDS_MAX);
    for (size_t i = 0; i < s->n_keywords; i++)
        pn_buf_printf(out, "%s%s", i ? " " : "", s->keywords[i]);
    return out->failed;
}

/* Other services' names for their models stand for the one that is here for live audio. */
static struct pn_str model_of(const struct pn_rt_settings *s)
{
    bool foreign = strncmp(s->model, "gpt-", 4) == 0 || strcmp(s->model, "whisper-1") == 0;
    return pn_str(foreign ? "" : s->model);
}

static const char *language_of(const struct pn_rt_settings *s)
{
    return !*s->language && s->n_languages == 1 ? s->languages[0] : s->language;
}

static int open_speech(struct pn_rt_take *t, const char *hotwords, int *ret_retry_ms, struct pn_err *err)
{
    const struct pn_rt_settings *s = t->rt->settings;
    struct pn_vad_options vad = { .threshold = (float)PN_MAX(s->turns.threshold, 0),
                                  .end_silence_ms = pn_rt_silence_ms(&s->turns),
                                  .pad_ms = s->turns.prefix_padding_ms };
    struct pn_live_request req = { .model = model_of(s),
                                   .format = s->format,
                                   .rate = s->rate,
                                   .want = { .language = language_of(s),
                                             .task = "transcribe",
                                             .live = true,
                                             .prompt = s->prompt,
                                             .temperature = -1,
                                             .word_timestamps = t->logprobs,
                                             .hotwords = hotwords,
                                             .vad = t->hears_turns,
                                             .vad_options = t->hears_turns ? &vad : NULL,
                                             .first_pass = t->early,
                                             .punctuation = true,
                                             .itn = !t->early } };
    return pn_speech_open(t->rt->voice.ws, &req, told, t, &t->speech, ret_retry_ms, err);
}

static void enlist(struct pn_rt_take *t)
{
    struct pn_rt *rt = t->rt;
    PN_LIST_ADD(rt->takes, t);
    rt->take = t;
    if (++rt->n_takes >= TAKES_MAX && !rt->crowded) {
        rt->crowded = true;
        pn_ws_pause(rt->voice.ws);
    }
}

int pn_rt_take_open(struct pn_rt *rt, int *ret_retry_ms, struct pn_err *err)
{
    struct pn_buf hotwords;
    struct pn_rt_take *t = calloc(1, sizeof(*t));
    if (!t)
        return pn_fail(err, PN_ENOMEM, "no memory for another stream");
    t->rt = rt;
    t->base_ms = rt->heard_ms;
    t->hears_turns = rt->settings->turns.how != PN_RT_TURNS_CLIENT;
    t->early = pn_rt_streams_early(rt->settings);
    t->logprobs = rt->settings->logprobs;
    int r = join_keywords(rt->settings, &hotwords);
    if (r == 0)
        r = open_speech(t, hotwords.len ? hotwords.ptr : "", ret_retry_ms, err);
    pn_buf_done(&hotwords);
    if (r < 0)
        free(t);
    else
        enlist(t);
    return r;
}

void pn_rt_take_free(struct pn_rt_take *t)
{
    struct pn_rt *rt = t->rt;
    PN_LIST_REMOVE(rt->takes, t);
    if (rt->take == t)
        rt->take = NULL;
    if (--rt->n_takes < TAKES_MAX && rt->crowded) {
        rt->crowded = false;
        pn_ws_resume(rt->voice.ws);
    }
    while (t->turns)
        remove_turn(t, t->turns);
    pn_speech_cancel(t->speech);
    pn_transcript_free(t->transcript);
    free(t);
    if (rt->draining && !rt->takes)
        pn_rt_say_close(&rt->voice, 1001, PN_WS_STOPPING);
}

int pn_rt_take_feed(struct pn_rt_take *t, const void *data, size_t n)
{
    return pn_speech_feed(t->speech, data, n);
}

void pn_rt_take_end(struct pn_rt_take *t)
{
    t->rt->take = NULL;
    pn_speech_finish(t->speech);
}

static struct pn_rt_turn *open_turn(const struct pn_rt_take *t)
{
    struct pn_rt_turn *u = t->turns;
    while (u && u->committed)
        u = u->next;
    return u;
}

void pn_rt_take_commit(struct pn_rt_take *t)
{
    struct pn_rt_turn *u = open_turn(t);
    if (!u && !(u = add_turn(t))) {
        pn_rt_take_end(t);
        return;
    }
    u->rest = true;
    u->end_ms = t->rt->heard_ms;
    t->deaf = true;
    commit_turn(t, u);
    move_turns(t, false);
    pn_rt_take_end(t);
}

void pn_rt_take_drop(struct pn_rt_take *t)
{
    struct pn_rt_turn *u = open_turn(t);
    if (u)
        remove_turn(t, u);
    t->deaf = true;
    if (t->turns)
        pn_rt_take_end(t); /* what was committed is still to be told */
    else
        pn_rt_take_free(t);
}

bool pn_rt_take_open_turn(const struct pn_rt_take *t)
{
    return open_turn(t) != NULL;
}

bool pn_rt_take_hears_turns(const struct pn_rt_take *t)
{
    return t->hears_turns;
}

void pn_rt_take_forget(struct pn_rt *rt, const char *item_id)
{
    for (struct pn_rt_take *t = rt->takes; t; t = t->next)
        for (struct pn_rt_turn *u = t->turns; u; u = u->next)
            if (strcmp(u->item_id, item_id) == 0) {
                remove_turn(t, u);
                return;
            }
}
