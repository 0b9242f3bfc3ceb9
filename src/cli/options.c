/* options.c - see options.h.
 *
 * Flags name the files that are weaker than flags, so the command line is read twice: once over defaults to
 * learn the files, once more over what the files and the environment said. */
#include "cli/options.h"

#include "nn/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX ((size_t)4 << 20)

struct files {
    const char *yaml, *dotenv;
};

static const struct pn_opt FILE_OPTS[] = {
    { .flag = "config",
      .type = PN_OPT_STR,
      .offset = offsetof(struct files, yaml),
      .arg = "FILE",
      .help = "settings in YAML" },
    { .flag = "env-file",
      .type = PN_OPT_STR,
      .offset = offsetof(struct files, dotenv),
      .arg = "FILE",
      .help = "settings as NAME=value lines; without this option .env is read if it is there" },
};
static const struct pn_opt_table FILE_TABLE = { FILE_OPTS, PN_ARRAY_LEN(FILE_OPTS) };
static const struct pn_opt_table NO_TABLE = { NULL, 0 };

/* Everything that one reading of the command line fills. */
struct command_line {
    int argc;
    char **argv;
    struct pn_opt_values own, files;
    struct files paths;
};

static int read_flags(struct command_line *cl, struct pn_config_loaded *c, int *ret_first, struct pn_err *err)
{
    struct pn_opt_values *tables[] = { &cl->own, &cl->files, &c->values };
    return pn_opt_read_flags(tables, PN_ARRAY_LEN(tables), cl->argc, cl->argv, ret_first, err);
}

static bool wants_help(const struct command_line *cl)
{
    int i = pn_opt_by_flag(cl->own.table, PN_STR("help"));
    return i >= 0 && *((const bool *)((const char *)cl->own.fields + cl->own.table->opts[i].offset));
}

/* `.env` may be missing, a file that was asked for may not. */
static int choose_dotenv(const struct command_line *cl, const char **ret, struct pn_err *err)
{
    const char *asked = cl->paths.dotenv;
    if (asked[0] && access(asked, R_OK) < 0)
        return pn_fail(err, PN_EINVAL, "--env-file: %s: %s", asked, strerror(errno));
    *ret = asked[0] ? asked : ".env";
    return 0;
}

/* The kernels are below all settings and know only the environment. No thread runs yet. */
static int pass_on_cpu(const struct pn_config *c, struct pn_err *err)
{
    unsigned cpu;
    int r = pn_cpu_parse(pn_str(c->cpu), &cpu, err);
    if (r == 0 && setenv("PINNA_CPU", c->cpu, 1) < 0)
        r = pn_fail_errno(err, "PINNA_CPU");
    return r;
}

static int load(struct command_line *cl, struct pn_arena *arena, struct pn_config_loaded **ret,
                int *ret_first, struct pn_err *err)
{
    const char *yaml = cl->paths.yaml[0] ? cl->paths.yaml : NULL, *dotenv = NULL;
    struct pn_config_loaded *c = NULL;
    int first = 0, r = choose_dotenv(cl, &dotenv, err);
    if (r == 0)
        r = pn_config_load(arena, yaml, dotenv, &c, err);
    if (r == 0)
        r = read_flags(cl, c, &first, err);
    if (r == 0)
        r = pn_config_check(&c->config, err);
    if (r == 0)
        r = pass_on_cpu(&c->config, err);
    if (r == 0) {
        *ret = c;
        *ret_first = first;
    }
    return r;
}

static int init(struct command_line *cl, const struct pn_opt_table *own, void *own_fields,
                struct pn_arena *arena, struct pn_config_loaded **ret_defaults, struct pn_err *err)
{
    struct pn_config_loaded *c = pn_arena_alloc(arena, sizeof(*c));
    if (!c || pn_opt_init(&cl->own, own ? own : &NO_TABLE, own_fields, arena) < 0 ||
        pn_opt_init(&cl->files, &FILE_TABLE, &cl->paths, arena) < 0 ||
        pn_opt_init(&c->values, &pn_config_table, &c->config, arena) < 0)
        return pn_fail(err, PN_ENOMEM, "no memory for the options");
    *ret_defaults = c;
    return 0;
}

int pn_cli_options(int argc, char **argv, const struct pn_opt_table *own, void *own_fields,
                   struct pn_arena *arena, struct pn_config_loaded **ret, int *ret_first, struct pn_err *err)
{
    struct command_line cl = { .argc = argc, .argv = argv };
    struct pn_config_loaded *defaults = NULL;
    int first = argc, r = init(&cl, own, own_fields, arena, &defaults, err);
    if (r == 0)
        r = read_flags(&cl, defaults, &first, err);
    if (r < 0)
        return r;
    if (!wants_help(&cl))
        return load(&cl, arena, ret, ret_first, err);
    *ret = defaults;
    *ret_first = first;
    return 0;
}

int pn_cli_print_help(const char *usage, const struct pn_opt_table *own, bool all)
{
    struct pn_buf out;
    pn_buf_init(&out, (size_t)1 << 16);
    pn_buf_puts(&out, usage);
    if (own && own->n > 0) {
        pn_buf_puts(&out, "\nOptions:\n");
        pn_opt_help(own, all, &out);
    }
    pn_buf_puts(&out, "\nSettings (see also `pinna config`):\n");
    pn_opt_help(&FILE_TABLE, all, &out);
    pn_opt_help(&pn_config_table, all, &out);
    int r = out.failed;
    if (r == 0 && (fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout) != 0))
        r = -PN_EIO;
    pn_buf_done(&out);
    return r;
}

int pn_cli_run(const char *name, pn_cli_command *run, int argc, char **argv)
{
    struct pn_err err = { 0 };
    struct pn_arena *arena = NULL;
    if (pn_arena_new(ARENA_MAX, &arena) < 0)
        return 1;
    int status = run(argc, argv, arena, &err);
    if (err.code != 0)
        fprintf(stderr, "pinna %s: %s\n", name, err.text);
    pn_arena_free(arena);
    return status;
}
