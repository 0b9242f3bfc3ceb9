/* pull_screen.h - what a person sees of a download: a line that moves on a terminal, nothing in a pipe. */
#ifndef PN_CLI_PULL_SCREEN_H
#define PN_CLI_PULL_SCREEN_H

#include "cli/progress.h"
#include "model/pull.h"

struct pn_pull_screen {
    struct pn_progress progress;
    char file[128]; /* whose speed is being measured */
    int64_t began_us, began_at;
};

void pn_pull_screen_init(struct pn_pull_screen *s);
void pn_pull_screen_draw(struct pn_pull_screen *s, const struct pn_pull_progress *p);
/* For pn_pull_options.note: `ctx` is a screen. */
void pn_pull_screen_note(void *ctx, const char *line);

#endif
