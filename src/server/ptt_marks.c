/* ptt_marks.c - see ptt_marks.h. */
#include "server/ptt_marks.h"

enum { ROUNDING_US = 1000 }; /* resampling and seconds in a double */

static const struct pn_ptt_mark *at(const struct pn_ptt_marks *m, size_t i)
{
    return &m->mark[i % PN_PTT_MARKS];
}

void pn_ptt_marks_add(struct pn_ptt_marks *m, struct pn_ptt_mark mark)
{
    int64_t before_us = m->n > 1 ? at(m, m->n - 2)->end_us : 0;
    size_t i = m->n;
    if (m->n > 0 && mark.end_us - before_us < PN_PTT_MARK_US)
        i--;
    m->mark[i % PN_PTT_MARKS] = mark;
    m->n = i + 1;
}

struct pn_ptt_mark pn_ptt_marks_find(const struct pn_ptt_marks *m, int64_t end_us)
{
    size_t i = m->n > PN_PTT_MARKS ? m->n - PN_PTT_MARKS : 0;
    while (i + 1 < m->n && at(m, i)->end_us + ROUNDING_US < end_us)
        i++;
    return i < m->n ? *at(m, i) : (struct pn_ptt_mark){ 0 };
}
