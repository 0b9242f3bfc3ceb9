/* ptt_marks.h - when which audio arrived: from a place in the audio back to the frame that brought it, for
 * the times that clients are told. Pure. */
#ifndef PN_SERVER_PTT_MARKS_H
#define PN_SERVER_PTT_MARKS_H

#include <stddef.h>
#include <stdint.h>

enum { PN_PTT_MARKS = 64, PN_PTT_MARK_US = 20000 };

struct pn_ptt_mark {
    int64_t end_us;     /* of the audio that had arrived */
    int64_t arrived_us; /* monotonic */
    int64_t timestamp;  /* the client's, ms; -1: none */
};

/* The newest ones, frames of less than PN_PTT_MARK_US joined. Zeroed at first. */
struct pn_ptt_marks {
    struct pn_ptt_mark mark[PN_PTT_MARKS]; /* a ring */
    size_t n;                              /* ever made */
};

void pn_ptt_marks_add(struct pn_ptt_marks *m, struct pn_ptt_mark mark);
/* The frame that brought the audio up to `end_us`: the oldest or newest known if that one is not. All zero
 * when there are none. */
struct pn_ptt_mark pn_ptt_marks_find(const struct pn_ptt_marks *m, int64_t end_us);

#endif
