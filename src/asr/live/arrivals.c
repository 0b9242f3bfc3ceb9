/* arrivals.c - see arrivals.h. */
#include "asr/live/arrivals.h"

#include "audio/decoder.h"
#include "base/attr.h"

enum {
    APART = PN_SAMPLE_RATE / 10, /* marks: the latest one moves until it is so far from the one before */
    PIECE_MAX_US = 1000000       /* of a microphone; who sends more at once has a recording */
};

static int64_t length_us(int64_t samples)
{
    return samples * 1000000 / PN_SAMPLE_RATE;
}

static size_t back(const struct pn_arrivals *a, size_t i)
{
    return (a->last + PN_ARRIVALS - 1 - i) % PN_ARRIVALS;
}

void pn_arrivals_note(struct pn_arrivals *a, int64_t end, int64_t at_us)
{
    if (a->n == 0)
        a->start_us = at_us - PN_MIN(length_us(end), PIECE_MAX_US);
    bool near = a->n > 1 && a->marks[back(a, 0)].end - a->marks[back(a, 1)].end < APART;
    if (!near) {
        a->last = (a->last + 1) % PN_ARRIVALS;
        a->n = PN_MIN(a->n + 1, (size_t)PN_ARRIVALS);
    }
    a->marks[back(a, 0)].end = end;
    a->marks[back(a, 0)].at_us = at_us;
}

int64_t pn_arrivals_of(const struct pn_arrivals *a, int64_t end)
{
    int64_t spoken_us = a->start_us + length_us(end), noted_us = 0;
    for (size_t i = 0; i < a->n && a->marks[back(a, i)].end >= end; i++)
        noted_us = a->marks[back(a, i)].at_us;
    return PN_MAX(spoken_us, noted_us);
}
