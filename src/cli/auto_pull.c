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

static void pull(const struct pn_config *c, const char *name, const struct pn_mirror *mirror,
                 struct pn_pull_screen *screen)
{
    struct pn_err err = { 0 };
    char path[PN_MODEL_PATH_MAX];
    struct pn_pull_options opt = pn_pull_options_of(c);
    opt.mirror = mirror;
    opt.ctx = screen;
    opt.progress = on_progress;
    opt.note = pn_pull_screen_note;
    int r = pn_pull_find(&opt, name) ? pn_pull(name, &opt, path, sizeof(path), &err) : 0;
    pn_progress_clear(&screen->progress);
    if (r < 0)
        fprintf(stderr, "pinna: model '%s' could not be fetched: %s\n", name, err.text);
}

void pn_auto_pull(const struct pn_config *c, const char *model, const char *other)
{
    struct pn_mirror *mirror = NULL;
    struct pn_pull_screen screen;
    struct pn_err err = { 0 };
    if (!c->auto_pull || c->offline)
        return;
    pn_pull_screen_init(&screen);
    if (pn_mirror_read(c->catalogue, &mirror, &err) < 0) {
        fprintf(stderr, "pinna: %s\n", err.text);
        return;
    }
    pull(c, model, mirror, &screen);
    if (other)
        pull(c, other, mirror, &screen);
    pn_mirror_free(mirror);
}
