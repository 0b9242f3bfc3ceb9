/* option.h - one table of options gives parsing, defaults, --help, `pinna config` and the documentation.
 *
 * A table describes the fields of one struct. Sources, strongest first: flags, environment, .env file,
 * YAML file, defaults. Every field remembers where its value came from. Unknown keys and impossible values
 * are refused with file and line. The struct and all its strings live in the arena that is passed in. */
#ifndef PN_BASE_OPTION_H
#define PN_BASE_OPTION_H

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/error.h"

enum pn_opt_type {
    PN_OPT_STR,    /* const char *, never NULL */
    PN_OPT_INT,    /* int64_t in [min, max] */
    PN_OPT_REAL,   /* double in [min, max] */
    PN_OPT_BOOL,   /* bool; as a flag `--x`, `--no-x` or `--x=yes` */
    PN_OPT_CHOICE, /* const char *, one of `choices` */
};

struct pn_opt {
    const char *key;  /* dotted, in YAML nested: "server.port"; NULL: flag only */
    const char *env;  /* comma-separated names, the first one set wins; NULL: none */
    const char *flag; /* "port"; NULL: none */
    char letter;      /* 'p' for -p; 0: none */
    enum pn_opt_type type;
    size_t offset;        /* of the field in the struct */
    const char *fallback; /* the default, as text */
    double min, max;      /* of numbers */
    /* Of a CHOICE: "debug,info,warn|warning,error"; any case is taken, the word before the first '|' is what
     * is stored. Of a STR: the one word that means the empty string ("none"), because an environment
     * variable that is empty counts as unset; or NULL. */
    const char *choices;
    const char *arg;    /* the word in --help: "PORT" */
    const char *help;   /* one sentence without a full stop */
    bool advanced;      /* not in the short --help; still in `pinna config` and the docs */
    bool first_of_list; /* of "4,2" the 4 counts, as OMP_NUM_THREADS may hold a list */
    bool no_effect;     /* accepted for the replaced systems; does nothing in this version */
};

struct pn_opt_table {
    const struct pn_opt *opts;
    size_t n;
};

enum pn_origin { PN_FROM_DEFAULT, PN_FROM_YAML, PN_FROM_DOTENV, PN_FROM_ENV, PN_FROM_FLAG };

struct pn_opt_origin {
    enum pn_origin from;
    const char *name; /* "--port", "PORT", or the file's path; "" for defaults */
    int line;         /* in a file; 0 otherwise */
};

/* One struct being filled: `origins` has table->n entries. */
struct pn_opt_values {
    const struct pn_opt_table *table;
    void *fields;
    struct pn_opt_origin *origins;
    struct pn_arena *arena;
};

PN_MUST_CHECK int pn_opt_init(struct pn_opt_values *v, const struct pn_opt_table *table, void *fields,
                              struct pn_arena *arena); /* writes the defaults */
/* Sets option `i` from text if `from` is at least as strong as what it has; a value that is refused is
 * refused in any case. The error text names the value, the option and what is allowed. `name` is copied. */
PN_MUST_CHECK int pn_opt_set(struct pn_opt_values *v, size_t i, struct pn_str text, enum pn_origin from,
                             const char *name, int line, struct pn_err *err);
/* Index of the option with this dotted key, environment name or flag; -PN_ENOTFOUND. */
int pn_opt_by_key(const struct pn_opt_table *t, struct pn_str key);
int pn_opt_by_env(const struct pn_opt_table *t, struct pn_str name);
int pn_opt_by_flag(const struct pn_opt_table *t, struct pn_str flag); /* without the dashes */

enum pn_opt_name { PN_NAME_KEY, PN_NAME_ENV, PN_NAME_FLAG };
/* "; did you mean 'port'?" for an unknown name of that kind, or "" when nothing is near. */
void pn_opt_suggest(const struct pn_opt_table *t, enum pn_opt_name kind, struct pn_str unknown, char out[96]);

/* The value of option `i` as text that pn_opt_set() would take. */
void pn_opt_value_text(const struct pn_opt_values *v, size_t i, struct pn_buf *out);
/* "default", "env PORT", ".env:3", "config.yaml:7", "--port". */
void pn_opt_origin_text(const struct pn_opt_values *v, size_t i, struct pn_buf *out);

/* Reads the process environment. A variable that is set but empty counts as unset. */
PN_MUST_CHECK int pn_opt_read_env(struct pn_opt_values *v, struct pn_err *err);
/* Flags of several tables at once (a subcommand's own and the program's; the first that has a name wins), GNU
 * style (`--x v`, `--x=v`, `-x v`, `-xv`, `--` ends them, options and operands may mix). Operands are moved
 * to the end of argv; *ret_first is the index of the first. */
PN_MUST_CHECK int pn_opt_read_flags(struct pn_opt_values *const v[], size_t n_tables, int argc, char **argv,
                                    int *ret_first, struct pn_err *err);
/* `--help` lines, 100 columns at most. `all`: advanced ones too. */
void pn_opt_help(const struct pn_opt_table *t, bool all, struct pn_buf *out);

#endif
