/* listen_screen.h - what `pinna listen` shows: final text as lines, what is not final yet in one line of a
 * terminal that is written anew. Main thread only. */
#ifndef PN_CLI_LISTEN_SCREEN_H
#define PN_CLI_LISTEN_SCREEN_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/listen_ear.h"

struct pn_screen {
    bool json, timestamps;
    int line_fd;        /* where the moving line is; -1: nowhere */
    bool drawn;         /* it is there */
    int64_t drawn_us;   /* when it was */
    struct pn_buf open; /* what is not final, clean */
    struct pn_buf line; /* what is being written */
};

/* What else the line says. */
struct pn_screen_view {
    double heard_s;    /* audio so far */
    double level;      /* of a microphone: the highest sample since the last line, 0..1; below 0: none */
    uint64_t overruns; /* audio was lost */
    bool ending;       /* the last words are being waited for */
};

/* The moving line is on standard output if that is a terminal and no JSON goes there, else on standard error
 * if that is one. */
void pn_screen_init(struct pn_screen *s, bool json, bool timestamps);
void pn_screen_done(struct pn_screen *s); /* takes the line away */
/* -PN_EIO: standard output takes nothing any more. */
PN_MUST_CHECK int pn_screen_told(struct pn_screen *s, const struct pn_heard_text *text, struct pn_err *err);
void pn_screen_draw(struct pn_screen *s, const struct pn_screen_view *v); /* if it is due */
/* The line itself, at most `width` columns: pure. */
void pn_screen_format(const struct pn_screen_view *v, struct pn_str open, int width, struct pn_buf *out);

#endif
