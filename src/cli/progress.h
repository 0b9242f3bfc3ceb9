/* progress.h - one line on the terminal that says how far a recording or a download is. Main thread only. */
#ifndef PN_CLI_PROGRESS_H
#define PN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pn_progress {
    bool on;         /* stderr is a terminal that can move its cursor */
    bool drawn;      /* the line is on the screen */
    int64_t last_us; /* when it was drawn */
};

struct pn_progress_view {
    const char *name;
    size_t file, n_files;          /* 1 of 1: the numbers are left out */
    double position_s, duration_s; /* duration < 0: not known */
    double elapsed_s;              /* since recognition of this file began */
    bool bytes;                    /* position and duration are bytes: a download */
};

void pn_progress_init(struct pn_progress *p);
/* Draws if the line is due (ten times a second at most). */
void pn_progress_draw(struct pn_progress *p, const struct pn_progress_view *v);
void pn_progress_clear(struct pn_progress *p); /* before anything else is printed, and at the end */
/* The line itself, at most `width` columns, without control characters: pure. */
void pn_progress_format(const struct pn_progress_view *v, int width, char *out, size_t cap);

#endif
