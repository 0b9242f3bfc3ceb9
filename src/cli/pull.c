/* pull.c - `pinna pull`: see pull.h. A signal only sets a flag that the download's callback reads, so that
 * the part that came stays on the disk in a state to go on from. */
#include "cli/pull.h"

#include "cli/models.h"
#include "cli/options.h"
#include "cli/pull_screen.h"
#include "model/caches.h"
#include "model/import.h"
#include "model/model_ref.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_MODEL = 3 };

static volatile sig_atomic_t signalled; /* the number of the signal that said stop */

struct fields {
    const char *name;
    bool list, help, help_all;
};

#define OWN(type_, name_, member_) \
    .flag = (name_), .type = (type_), .offset = offsetof(struct fields, member_)

static const struct pn_opt OPTIONS[] = {
    { OWN(PN_OPT_STR, "name", name), .fallback = "", .arg = "NAME",
      .help = "name for an imported checkpoint; empty takes that of the file or folder" },
    { OWN(PN_OPT_BOOL, "list", list), .fallback = "false", .help = "list what can be had and exit" },
    { OWN(PN_OPT_BOOL, "help", help), .letter = 'h', .fallback = "false", .help = "print this and exit" },
    { OWN(PN_OPT_BOOL, "help-all", help_all), .fallback = "false", .help = "print every setting and exit" },
};
static const struct pn_opt_table TABLE = { OPTIONS, PN_ARRAY_LEN(OPTIONS) };

static const char USAGE[] =
    "usage: pinna pull [OPTION]... NAME...\n"
    "       pinna pull [--name NAME] ./FILE-OR-FOLDER\n\n"
    "Gets models by their names (NAME@REVISION: one revision of it) or by that of a FunASR\n"
    "repository (OWNER/NAME), or imports a checkpoint of one's own: a .pt file, a ggml .bin file,\n"
    "or a folder as the Hugging Face hub or FunASR have it. An interrupted download goes on where\n"
    "it ended. Exit status: 0 all are here, 1 disk or checkpoint, 2 usage, 3 a model cannot be had.\n";

/* ---- callbacks ---- */

static void on_signal(int number)
{
    signalled = number;
}

static void catch_signals(void)
{
    static const int NUMBERS[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < PN_ARRAY_LEN(NUMBERS); i++)
        sigaction(NUMBERS[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int on_progress(void *ctx, const struct pn_pull_progress *p)
{
    if (signalled)
        return 1;
    pn_pull_screen_draw(ctx, p);
    return 0;
}

/* ---- one model ---- */

static int status_of(int r)
{
    if (r >= 0)
        return 0;
    if (r == -PN_ECANCELLED && signalled)
        return 128 + signalled;
    return r == -PN_ENOTFOUND || r == -PN_EUNSUPPORTED || r == -PN_ETIMEOUT || r == -PN_ELIMIT ? EXIT_MODEL
                                                                                               : EXIT_FAILED;
}

static bool is_checkpoint_name(const char *operand)
{
    static const char *const ENDS[] = { ".pt", ".bin", ".safetensors" };
    size_t n = strlen(operand);
    for (size_t i = 0; i < PN_ARRAY_LEN(ENDS); i++)
        if (n > strlen(ENDS[i]) && strcmp(operand + n - strlen(ENDS[i]), ENDS[i]) == 0)
            return true;
    return false;
}

/* A path is there and no model is named after it, or could be nothing else. */
static bool is_path(const struct pn_pull_options *opt, const char *operand)
{
    struct pn_model_ref ref;
    if (access(operand, F_OK) == 0)
        return strchr(operand, '/') || !pn_pull_find(opt, operand);
    return strchr(operand, '/') && (pn_model_ref_parse(operand, &ref) < 0 || is_checkpoint_name(operand));
}

static int get_one(const struct pn_pull_options *opt, const char *operand, const char *name)
{
    char path[PN_MODEL_PATH_MAX];
    struct pn_pull_screen *s = opt->ctx;
    struct pn_err err = { 0 };
    bool import = is_path(opt, operand);
    int r = import ? pn_import(operand, name[0] ? name : NULL, opt, path, sizeof(path), &err)
                   : pn_pull(operand, opt, path, sizeof(path), &err);
    pn_progress_clear(&s->progress);
    if (r < 0) {
        fprintf(stderr, "pinna pull: %s\n", err.text);
        /* Wrong bytes from every server are no model; a wrong file of one's own is a failure. */
        return r == -PN_EFORMAT && !import ? EXIT_MODEL : status_of(r);
    }
    printf("%s\n", path);
    if (!import && r == PN_PULLED_BEFORE)
        fprintf(stderr, "pinna: %s is already here\n", operand);
    return 0;
}

static int get_all(const struct pn_pull_options *opt, char *const *operands, int n, const char *name)
{
    int worst = 0;
    for (int i = 0; i < n && !signalled; i++) {
        int status = get_one(opt, operands[i], name);
        worst = PN_MAX(worst, status);
    }
    if (fflush(stdout) != 0)
        worst = PN_MAX(worst, EXIT_FAILED);
    return worst;
}

/* ---- the command ---- */

static int check_operands(const struct fields *own, const struct pn_pull_options *opt, char *const *operands,
                          int n, struct pn_err *err)
{
    if (n == 0)
        return pn_fail(err, PN_EINVAL, "which NAME? See pinna pull --list");
    if (own->name[0] && (n != 1 || !is_path(opt, operands[0])))
        return pn_fail(err, PN_EINVAL, "--name is for one checkpoint of your own");
    return 0;
}

static int run_with(const struct fields *own, struct pn_pull_options *opt, char *const *operands, int n,
                    struct pn_err *err)
{
    struct pn_pull_screen screen;
    if (own->list)
        return pn_models_print_available(opt->mirror) < 0;
    if (check_operands(own, opt, operands, n, err) < 0)
        return EXIT_USAGE;
    pn_pull_screen_init(&screen);
    opt->ctx = &screen;
    opt->progress = on_progress;
    opt->note = pn_pull_screen_note;
    catch_signals();
    return get_all(opt, operands, n, own->name);
}

static int run(int argc, char **argv, struct pn_arena *arena, struct pn_err *err)
{
    struct fields own = { 0 };
    struct pn_config_loaded *c = NULL;
    struct pn_mirror *mirror = NULL;
    int first = argc;
    if (pn_cli_options(argc, argv, &TABLE, &own, arena, &c, &first, err) < 0)
        return EXIT_USAGE;
    if (own.help || own.help_all)
        return pn_cli_print_help(USAGE, &TABLE, own.help_all) < 0;
    if (pn_mirror_read(c->config.catalogue, &mirror, err) < 0)
        return EXIT_USAGE;
    struct pn_pull_options opt = pn_pull_options_of(&c->config);
    opt.mirror = mirror;
    int status = run_with(&own, &opt, argv + first, argc - first, err);
    pn_mirror_free(mirror);
    return status;
}

int pn_cmd_pull(int argc, char **argv)
{
    return pn_cli_run("pull", run, argc, argv);
}
