/* option_read.c - see option.h. Values from the environment and from flags.
 *
 * Flags: one pass assigns values and sorts argv into flags and operands; argv is only changed when all of it
 * was understood. */
#include "base/option.h"

#include "base/option_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_env_of(struct pn_opt_values *v, size_t i, struct pn_err *err)
{
    const char *list = v->table->opts[i].env;
    struct pn_str word;
    char name[64];
    while ((word = pn_opt_next_word(&list)).ptr) {
        const char *value = pn_str_copy(name, sizeof(name), word) == 0 ? getenv(name) : NULL;
        if (value && value[0])
            return pn_opt_set(v, i, pn_str(value), PN_FROM_ENV, name, 0, err);
    }
    return 0;
}

int pn_opt_read_env(struct pn_opt_values *v, struct pn_err *err)
{
    int r = 0;
    for (size_t i = 0; i < v->table->n && r == 0; i++)
        r = read_env_of(v, i, err);
    return r;
}

struct reader {
    struct pn_opt_values *const *tables;
    size_t n_tables;
    int argc;
    char **argv;
    int next;     /* the argument to read */
    char **flags; /* sorted so far: flags with their values */
    int n_flags;
    char **operands;
    int n_operands;
    struct pn_err *err;
};

/* One option in one of the tables. */
struct target {
    struct pn_opt_values *values;
    size_t index;
    bool negated; /* by --no-x */
};

static const struct pn_opt *option_of(const struct target *t)
{
    return &t->values->table->opts[t->index];
}

static bool find_flag(const struct reader *rd, struct pn_str name, struct target *ret)
{
    for (size_t k = 0; k < rd->n_tables; k++) {
        int i = pn_opt_by_flag(rd->tables[k]->table, name);
        if (i >= 0) {
            *ret = (struct target){ rd->tables[k], (size_t)i, false };
            return true;
        }
    }
    return false;
}

static bool find_negated(const struct reader *rd, struct pn_str name, struct target *ret)
{
    struct target t;
    if (name.len <= 3 || memcmp(name.ptr, "no-", 3) != 0 ||
        !find_flag(rd, (struct pn_str){ name.ptr + 3, name.len - 3 }, &t) ||
        option_of(&t)->type != PN_OPT_BOOL)
        return false;
    t.negated = true;
    *ret = t;
    return true;
}

static bool find_letter(const struct reader *rd, char letter, struct target *ret)
{
    for (size_t k = 0; k < rd->n_tables; k++) {
        const struct pn_opt_table *t = rd->tables[k]->table;
        for (size_t i = 0; i < t->n; i++) {
            if (t->opts[i].letter && t->opts[i].letter == letter) {
                *ret = (struct target){ rd->tables[k], i, false };
                return true;
            }
        }
    }
    return false;
}

static int unknown_flag(const struct reader *rd, struct pn_str name)
{
    char hint[96] = "";
    for (size_t k = 0; k < rd->n_tables && !hint[0]; k++)
        pn_opt_suggest(rd->tables[k]->table, PN_NAME_FLAG, name, hint);
    return pn_fail(rd->err, PN_EINVAL, "unknown option '--%s'%s", pn_opt_quote(name).text, hint);
}

static int assign(const struct reader *rd, const struct target *t, struct pn_str value, const char *shown)
{
    return pn_opt_set(t->values, t->index, value, PN_FROM_FLAG, shown, 0, rd->err);
}

static int assign_bool(const struct reader *rd, const struct target *t, const char *shown)
{
    return assign(rd, t, t->negated ? PN_STR("false") : PN_STR("true"), shown);
}

/* The value stands in the next argument. */
static int assign_next(struct reader *rd, const struct target *t, const char *shown)
{
    if (rd->next == rd->argc) {
        const char *arg = option_of(t)->arg;
        return pn_fail(rd->err, PN_EINVAL, "%s needs a value (%s)", shown, arg ? arg : "VALUE");
    }
    char *value = rd->argv[rd->next++];
    rd->flags[rd->n_flags++] = value;
    return assign(rd, t, pn_str(value), shown);
}

/* `--x`, `--no-x`, `--x=v`, `--x v` */
static int read_long(struct reader *rd, const char *arg)
{
    const char *equals = strchr(arg + 2, '=');
    struct pn_str name = { arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2) };
    struct target t;
    if (!find_flag(rd, name, &t) && !find_negated(rd, name, &t))
        return unknown_flag(rd, name);
    char shown[64];
    snprintf(shown, sizeof(shown), "--%.*s", (int)PN_MIN(name.len, 60), name.ptr);
    if (equals && t.negated)
        return pn_fail(rd->err, PN_EINVAL, "%s takes no value", shown);
    if (equals)
        return assign(rd, &t, pn_str(equals + 1), shown);
    return option_of(&t)->type == PN_OPT_BOOL ? assign_bool(rd, &t, shown) : assign_next(rd, &t, shown);
}

/* `-x`, `-xyz` (bools), `-x v`, `-xv` */
static int read_short(struct reader *rd, const char *arg)
{
    int r = 0;
    for (const char *p = arg + 1; *p && r == 0; p++) {
        struct target t;
        char shown[] = { '-', *p, 0 };
        if (!find_letter(rd, *p, &t))
            return pn_fail(rd->err, PN_EINVAL, "unknown option '%s'", pn_opt_quote(pn_str(arg)).text);
        if (option_of(&t)->type == PN_OPT_BOOL)
            r = assign_bool(rd, &t, shown);
        else
            return p[1] ? assign(rd, &t, pn_str(p + 1), shown) : assign_next(rd, &t, shown);
    }
    return r;
}

static int read_argument(struct reader *rd)
{
    char *arg = rd->argv[rd->next++];
    if (arg[0] != '-' || !arg[1]) { /* "-" is stdin: an operand */
        rd->operands[rd->n_operands++] = arg;
        return 0;
    }
    rd->flags[rd->n_flags++] = arg;
    if (strcmp(arg, "--") != 0)
        return arg[1] == '-' ? read_long(rd, arg) : read_short(rd, arg);
    while (rd->next < rd->argc)
        rd->operands[rd->n_operands++] = rd->argv[rd->next++];
    return 0;
}

int pn_opt_read_flags(struct pn_opt_values *const v[], size_t n_tables, int argc, char **argv, int *ret_first,
                      struct pn_err *err)
{
    size_t n = (size_t)PN_MAX(argc, 1);
    char **sorted = calloc(2 * n, sizeof(*sorted));
    if (!sorted)
        return pn_fail(err, PN_ENOMEM, "no memory for the command line");
    struct reader rd = { .tables = v,
                         .n_tables = n_tables,
                         .argc = argc,
                         .argv = argv,
                         .next = 1,
                         .flags = sorted,
                         .operands = sorted + n,
                         .err = err };
    int r = 0;
    while (rd.next < argc && r == 0)
        r = read_argument(&rd);
    if (r == 0) {
        memcpy(argv + 1, rd.flags, (size_t)rd.n_flags * sizeof(*argv));
        memcpy(argv + 1 + rd.n_flags, rd.operands, (size_t)rd.n_operands * sizeof(*argv));
        *ret_first = 1 + rd.n_flags;
    }
    free(sorted);
    return r;
}
