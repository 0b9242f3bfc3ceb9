/* pull_screen.c - see pull_screen.h. */
#include "cli/pull_screen.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

void pn_pull_screen_init(struct pn_pull_screen *s)
{
    *s = (struct pn_pull_screen){ .file = "" };
    pn_progress_init(&s->progress);
}

/* What an earlier run left does not count for the speed. */
static void begin_file(struct pn_pull_screen *s, const struct pn_pull_progress *p)
{
    if (strncmp(s->file, p->file, sizeof(s->file) - 1) == 0 && p->done >= s->began_at)
        return;
    snprintf(s->file, sizeof(s->file), "%s", p->file);
    s->began_us = pn_now_us();
    s->began_at = p->done;
}

void pn_pull_screen_draw(struct pn_pull_screen *s, const struct pn_pull_progress *p)
{
    begin_file(s, p);
    double elapsed = (double)(pn_now_us() - s->began_us) / 1e6;
    int64_t fresh = p->done - s->began_at;
    double share = fresh > 0 ? (double)p->done / (double)fresh : 1;
    struct pn_progress_view view = { .name = p->file,
                                     .file = p->i,
                                     .n_files = p->n,
                                     .position_s = (double)p->done,
                                     .duration_s = (double)p->total,
                                     .elapsed_s = elapsed * share,
                                     .bytes = true };
    pn_progress_draw(&s->progress, &view);
}

void pn_pull_screen_note(void *ctx, const char *line)
{
    struct pn_pull_screen *s = ctx;
    pn_progress_clear(&s->progress);
    fprintf(stderr, "pinna: %s\n", line);
}
