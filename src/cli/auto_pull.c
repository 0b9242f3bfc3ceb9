/* auto_pull.c - see auto_pull.h. */
#include "cli/auto_pull.h"

#include "cli/pull_screen.h"
#include "model/caches.h"

#include <stdio.h>

static int on_progress(void *ctx, const struct pn_pull_progress *p)
{
    pn_pull_screen_draw(ctx, p);
    return 0;
}

static int pull(const struct pn_config *c, const struct pn_mirror *mirror, struct pn_pull_screen *screen,
                struct pn_err *err)
{
    char path[PN_MODEL_PATH_MAX];
    struct pn_pull_options opt = pn_pull_options_of(c);
    opt.mirror = mirror;
    opt.ctx = screen;
    opt.progress = on_progress;
    opt.note = pn_pull_screen_note;
    return pn_pull_find(&opt, c->whisper_model) ? pn_pull(c->whisper_model, &opt, path, sizeof(path), err)
                                                : 0;
}

void pn_auto_pull(const struct pn_config *c)
{
    struct pn_mirror *mirror = NULL;
    struct pn_pull_screen screen;
    struct pn_err err = { 0 };
    if (!c->auto_pull || c->offline)
        return;
    pn_pull_screen_init(&screen);
    int r = pn_mirror_read(c->catalogue, &mirror, &err);
    if (r == 0)
        r = pull(c, mirror, &screen, &err);
    pn_progress_clear(&screen.progress);
    pn_mirror_free(mirror);
    if (r < 0)
        fprintf(stderr, "pinna: model '%s' could not be fetched: %s\n", c->whisper_model, err.text);
}
