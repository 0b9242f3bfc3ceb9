/* pcm_inbox.c - a ring of samples under one mutex: the stream's owner pushes, its recogniser takes.
 *
 * Invariant: len <= cap; the oldest sample is ring[head]. The memory is not touched before it is used, so a
 * short clip costs its own length, not the ring's. */
#include "asr/pcm_inbox.h"

#include <stdlib.h>
#include <string.h>

int pn_pcm_inbox_init(struct pn_pcm_inbox *in, size_t cap_samples)
{
    float *ring = malloc(cap_samples * sizeof(*ring));
    if (!ring)
        return -PN_ENOMEM;
    *in = (struct pn_pcm_inbox){ .ring = ring, .cap = cap_samples };
    if (pthread_mutex_init(&in->mu, NULL) != 0) {
        free(ring);
        in->ring = NULL;
        return -PN_ENOMEM;
    }
    return 0;
}

void pn_pcm_inbox_done(struct pn_pcm_inbox *in)
{
    if (!in->ring)
        return;
    pthread_mutex_destroy(&in->mu);
    free(in->ring);
    in->ring = NULL;
}

int pn_pcm_inbox_push(struct pn_pcm_inbox *in, const float *pcm, size_t n)
{
    int r = 0;
    pthread_mutex_lock(&in->mu);
    if (in->finished) {
        r = -PN_ECANCELLED;
    } else if (n > in->cap - in->len) {
        r = -PN_EFULL;
    } else if (n > 0) {
        size_t tail = (in->head + in->len) % in->cap;
        size_t first = PN_MIN(n, in->cap - tail);
        memcpy(in->ring + tail, pcm, first * sizeof(*pcm));
        memcpy(in->ring, pcm + first, (n - first) * sizeof(*pcm));
        in->len += n;
    }
    pthread_mutex_unlock(&in->mu);
    return r;
}

void pn_pcm_inbox_finish(struct pn_pcm_inbox *in)
{
    pthread_mutex_lock(&in->mu);
    in->finished = true;
    pthread_mutex_unlock(&in->mu);
}

static size_t copy_oldest(const struct pn_pcm_inbox *in, float *pcm, size_t cap)
{
    size_t n = PN_MIN(cap, in->len);
    size_t first = PN_MIN(n, in->cap - in->head);
    memcpy(pcm, in->ring + in->head, first * sizeof(*pcm));
    memcpy(pcm + first, in->ring, (n - first) * sizeof(*pcm));
    return n;
}

static void drop_oldest(struct pn_pcm_inbox *in, size_t n)
{
    in->len -= n;
    in->head = in->len ? (in->head + n) % in->cap : 0; /* an empty ring starts over where memory is warm */
}

size_t pn_pcm_inbox_take(struct pn_pcm_inbox *in, float *pcm, size_t cap, bool *ret_end)
{
    pthread_mutex_lock(&in->mu);
    size_t n = copy_oldest(in, pcm, cap);
    drop_oldest(in, n);
    *ret_end = in->finished && in->len == 0;
    pthread_mutex_unlock(&in->mu);
    return n;
}

size_t pn_pcm_inbox_peek(struct pn_pcm_inbox *in, float *pcm, size_t cap, bool *ret_last)
{
    pthread_mutex_lock(&in->mu);
    size_t n = copy_oldest(in, pcm, cap);
    *ret_last = in->finished && in->len == n;
    pthread_mutex_unlock(&in->mu);
    return n;
}

void pn_pcm_inbox_drop(struct pn_pcm_inbox *in, size_t n)
{
    pthread_mutex_lock(&in->mu);
    drop_oldest(in, PN_MIN(n, in->len));
    pthread_mutex_unlock(&in->mu);
}

void pn_pcm_inbox_release(struct pn_pcm_inbox *in)
{
    pthread_mutex_lock(&in->mu);
    float *least = in->finished ? realloc(in->ring, sizeof(*least)) : NULL;
    if (least) {
        in->ring = least;
        in->cap = 1;
        in->head = in->len = 0;
    }
    pthread_mutex_unlock(&in->mu);
}

size_t pn_pcm_inbox_len(struct pn_pcm_inbox *in, bool *ret_finished)
{
    pthread_mutex_lock(&in->mu);
    size_t n = in->len;
    *ret_finished = in->finished;
    pthread_mutex_unlock(&in->mu);
    return n;
}
