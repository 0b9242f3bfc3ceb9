/* live_speaker.c - see live_speaker.h. */
#include "live_speaker.h"

#include "process.h"

#include "base/clock.h"
#include "base/splitmix.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 20000, RETRY_US = 2000000, MS = 1000 };

static void add(struct live_series *s, double ms, int64_t at_us)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->ms = realloc(s->ms, (size_t)s->cap * sizeof(*s->ms));
        s->at_us = realloc(s->at_us, (size_t)s->cap * sizeof(*s->at_us));
        if (!s->ms || !s->at_us)
            bench_die("memory", NULL);
    }
    s->ms[s->n] = ms;
    s->at_us[s->n++] = at_us;
}

static int64_t around(struct live_speaker *s, int ms)
{
    double share = (double)(pn_splitmix64(&s->random) >> 11) / (double)(1ULL << 53);
    return (int64_t)(MS * ms * (0.75 + 0.5 * share));
}

/* ---- what is said ---- */

static void say(struct live_speaker *s, bool text)
{
    if (s->message.failed < 0 ||
        pn_ws_client_send(s->client, text, (struct pn_str){ s->message.ptr, s->message.len }) == -PN_ENOMEM)
        bench_die("memory", NULL);
    pn_buf_clear(&s->message);
}

static void begin_utterance(struct live_speaker *s, int64_t now_us)
{
    if (s->opt->protocol->start) {
        s->opt->protocol->start(&s->message);
        say(s, true);
    }
    s->state = LIVE_TALKING;
    s->n_wanted = (int)PN_MAX(around(s, s->opt->talk_ms) / MS / s->opt->frame_ms, 1);
    s->n_sent = s->next_chunk = 0;
    s->first_us = now_us;
    s->first_told = s->refused = false;
}

static void send_audio(struct live_speaker *s, const struct live_frame *f, int64_t timestamp)
{
    s->opt->protocol->audio(f, timestamp, &s->message);
    say(s, !s->opt->protocol->binary);
    s->due_us += (int64_t)s->opt->frame_ms * MS;
}

static void send_frame(struct live_speaker *s, int64_t now_us)
{
    int64_t timestamp = pn_wall_ms();
    send_audio(s, &s->opt->frames[s->at++ % s->opt->n_frames], timestamp);
    s->recent[s->n_sent % LIVE_RECENT].timestamp = timestamp;
    s->recent[s->n_sent % LIVE_RECENT].sent_us = now_us;
    s->recent[s->n_sent % LIVE_RECENT].number = s->n_sent;
    s->n_sent++;
}

static void end_utterance(struct live_speaker *s, int64_t now_us)
{
    if (s->opt->protocol->stop) {
        s->opt->protocol->stop(&s->message);
        say(s, true);
    }
    s->ended_us = now_us;
    s->state = LIVE_WAITING;
}

void live_speaker_begin(struct live_speaker *s, int64_t at_us)
{
    s->due_us = at_us;
}

/* False: nothing is to be said any more. */
static bool speak(struct live_speaker *s, int64_t now_us)
{
    switch (s->state) {
    case LIVE_PAUSING:
        begin_utterance(s, now_us);
        break;
    case LIVE_TALKING:
        break;
    case LIVE_WAITING:
        if (s->opt->protocol->stop)
            return false;
        send_audio(s, s->opt->silence, pn_wall_ms());
        return true;
    case LIVE_GONE:
        return false;
    }
    send_frame(s, now_us);
    if (s->n_sent == s->n_wanted)
        end_utterance(s, now_us);
    return true;
}

void live_speaker_tick(struct live_speaker *s, int64_t now_us)
{
    bool said = false;
    while (s->due_us <= now_us && speak(s, now_us))
        said = true;
    if (said)
        live_speaker_run(s);
}

/* ---- what is heard ---- */

static void pause_until(struct live_speaker *s, int64_t at_us)
{
    s->state = LIVE_PAUSING;
    s->due_us = at_us;
}

static int chunk_end_frame(const struct live_speaker *s, int chunk)
{
    return ((chunk + 1) * LIVE_CHUNK_MS + s->opt->phase_ms + s->opt->frame_ms - 1) / s->opt->frame_ms - 1;
}

/* Without a time stamp: the newest chunk that was complete and has no text yet. That is the least latency
 * that it can have had. */
static int frame_of_chunk(struct live_speaker *s)
{
    int found = -1;
    if (s->opt->phase_ms < 0 || !s->opt->protocol->stop) /* then chunks begin where the server finds speech */
        return -1;
    for (int k = s->next_chunk; chunk_end_frame(s, k) < s->n_sent; k++) {
        found = chunk_end_frame(s, k);
        s->next_chunk = k + 1;
    }
    return found;
}

static int frame_of_timestamp(struct live_speaker *s, int64_t timestamp)
{
    for (int i = s->n_sent; i > 0 && i > s->n_sent - LIVE_RECENT; i--)
        if (s->recent[(i - 1) % LIVE_RECENT].timestamp == timestamp)
            return i - 1;
    return -1;
}

static void take_partial(struct live_speaker *s, const struct live_answer *a)
{
    int64_t now = pn_now_us();
    s->totals->partials++;
    if (!s->first_told)
        add(&s->totals->first, (double)(now - s->first_us) / MS, now);
    s->first_told = true;
    int frame = a->timestamp >= 0 ? frame_of_timestamp(s, a->timestamp) : frame_of_chunk(s);
    if (frame < 0 || (s->state == LIVE_WAITING && (a->timestamp < 0 || frame == s->n_sent - 1)))
        return; /* the rest, which the end of the audio made */
    if (a->timestamp >= 0)
        s->phase_votes[(frame + 1) * s->opt->frame_ms % LIVE_CHUNK_MS]++;
    add(&s->totals->chunk, (double)(now - s->recent[frame % LIVE_RECENT].sent_us) / MS, now);
}

static void take_final(struct live_speaker *s)
{
    int64_t now = pn_now_us();
    if (s->state != LIVE_WAITING)
        return;
    if (!s->refused) {
        add(&s->totals->final, (double)(now - s->ended_us) / MS, now);
        s->totals->utterances++;
        s->totals->heard_s += (double)s->n_sent * s->opt->frame_ms / 1000;
    }
    pause_until(s, now + around(s, s->opt->pause_ms));
}

/* Of this utterance nothing is counted any more; the speaker tries again. */
static void take_refusal(struct live_speaker *s)
{
    s->totals->refused += !s->refused;
    s->refused = true;
    if (s->state == LIVE_TALKING || s->state == LIVE_WAITING)
        pause_until(s, pn_now_us() + RETRY_US);
}

static void on_message(void *ctx, bool text, struct pn_str data)
{
    struct live_speaker *s = ctx;
    struct live_answer a;
    if (!text)
        return;
    s->opt->protocol->hear(data, &a);
    switch (a.heard) {
    case LIVE_NOTHING:
        break;
    case LIVE_PARTIAL:
        if (!s->refused && a.characters > 0 && s->state != LIVE_PAUSING)
            take_partial(s, &a);
        break;
    case LIVE_FINAL:
        take_final(s);
        break;
    case LIVE_REFUSED:
        take_refusal(s);
        break;
    case LIVE_FAILED:
        s->totals->failed++;
        break;
    }
}

/* A server that is full may close instead of refusing. */
static void leave(struct live_speaker *s)
{
    unsigned code = pn_ws_client_close_code(s->client);
    if (code == 1008 || code == 1013)
        s->totals->refused += !s->refused;
    else
        s->totals->failed++;
    s->state = LIVE_GONE;
}

void live_speaker_run(struct live_speaker *s)
{
    struct pn_err err = { 0 };
    if (s->state != LIVE_GONE && pn_ws_client_run(s->client, &err) != 0)
        leave(s);
}

/* ---- life ---- */

int live_speaker_open(struct live_speaker *s, const struct live_options *opt, struct live_totals *totals,
                      uint64_t seed, struct pn_err *err)
{
    char url[512];
    *s = (struct live_speaker){ .opt = opt, .totals = totals, .random = seed, .due_us = INT64_MAX };
    pn_buf_init(&s->message, (size_t)1 << 22);
    snprintf(url, sizeof(url), "%s%s", opt->url, opt->protocol->path);
    struct pn_ws_client_options o = { .url = url,
                                      .ca_file = opt->ca_file,
                                      .timeout_ms = TIMEOUT_MS,
                                      .stop_fd = -1,
                                      .max_message = (size_t)8 << 20,
                                      .message = on_message,
                                      .ctx = s };
    int r = pn_ws_client_open(&o, &s->client, err);
    if (r < 0)
        return r;
    s->at = (int)(pn_splitmix64(&s->random) % (uint64_t)opt->n_frames);
    if (opt->protocol->greet) {
        opt->protocol->greet(&s->message);
        say(s, true);
    }
    return 0;
}

void live_speaker_close(struct live_speaker *s)
{
    pn_ws_client_free(s->client);
    pn_buf_done(&s->message);
}
