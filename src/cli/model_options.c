/* model_options.c - see model_options.h. */
#include "cli/model_options.h"

#include <stdio.h>
#include <unistd.h>

static void say_packing(void *ctx, double fraction)
{
    (void)ctx;
    fprintf(stderr, "\rpinna: preparing the model, once: %3.0f %%%s", fraction * 100,
            fraction < 1 ? "" : "\n");
}

static void say_warning(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "pinna: %s\n", line);
}

int pn_cli_models_options(const struct pn_config *c, struct pn_models_options *ret)
{
    struct pn_models_options opt = { .threads = (int)c->threads,
                                     .model_dir = c->model_dir,
                                     .cache_dir = c->cache_dir,
                                     .max_loaded = 1,
                                     .vad = c->vad,
                                     .punctuation = c->punctuation,
                                     .final_model = c->final_model,
                                     .live_pad_ms = (int)(c->overlap_samples + 15) / 16,
                                     .warn = say_warning,
                                     .progress = isatty(STDERR_FILENO) ? say_packing : NULL };
    int r = pn_precision_parse(pn_str(c->precision), &opt.precision);
    if (r == 0)
        *ret = opt;
    return r;
}
