/* config.c - `pinna config`: see config.h. Runs in the main thread only and starts nothing. */
#include "cli/config.h"

#include "base/json.h"
#include "cli/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ARENA_MAX  ((size_t)4 << 20)
#define OUTPUT_MAX ((size_t)4 << 20)

struct own {
    bool help, all;
    const char *format;
};

static const struct pn_opt OWN_OPTS[] = {
    { .flag = "format",
      .type = PN_OPT_CHOICE,
      .offset = offsetof(struct own, format),
      .fallback = "table",
      .choices = "table,json,env,yaml,markdown",
      .arg = "FORMAT",
      .help = "form of the output" },
    { .flag = "all",
      .type = PN_OPT_BOOL,
      .offset = offsetof(struct own, all),
      .fallback = "false",
      .help = "with --help: the rarely used settings, too" },
    { .flag = "help",
      .letter = 'h',
      .type = PN_OPT_BOOL,
      .offset = offsetof(struct own, help),
      .fallback = "false",
      .help = "show this text" },
};
static const struct pn_opt_table OWN_TABLE = { OWN_OPTS, PN_ARRAY_LEN(OWN_OPTS) };

static const char USAGE[] =
    "usage: pinna config [OPTION]...\n"
    "\n"
    "Prints every setting, its value and where the value came from: a flag, the environment, the\n"
    ".env file, the YAML file (--config) or the default. `--format env` and `--format yaml` print\n"
    "files that --env-file and --config read.\n";

/* --- table --- */

static void put_padded(struct pn_buf *out, const char *text, size_t width)
{
    size_t len = strlen(text);
    pn_buf_printf(out, "%s%*s", text, (int)(len < width ? width - len : 0) + 2, "");
}

static size_t widest_key(const struct pn_opt_table *t)
{
    size_t width = 0;
    for (size_t i = 0; i < t->n; i++)
        width = PN_MAX(width, strlen(t->opts[i].key));
    return width;
}

/* Values wider than this push their own line's last column only. */
#define VALUE_WIDTH_MAX 40

static size_t widest_value(const struct pn_opt_values *v)
{
    size_t width = 0;
    struct pn_buf value;
    pn_buf_init(&value, OUTPUT_MAX);
    for (size_t i = 0; i < v->table->n; i++) {
        pn_buf_clear(&value);
        pn_opt_value_text(v, i, &value);
        if (value.len <= VALUE_WIDTH_MAX)
            width = PN_MAX(width, value.len);
    }
    pn_buf_done(&value);
    return width;
}

static void print_table(const struct pn_opt_values *v, struct pn_buf *out)
{
    size_t key_width = widest_key(v->table), value_width = widest_value(v);
    struct pn_buf value;
    pn_buf_init(&value, OUTPUT_MAX);
    for (size_t i = 0; i < v->table->n; i++) {
        pn_buf_clear(&value);
        pn_opt_value_text(v, i, &value);
        put_padded(out, v->table->opts[i].key, key_width);
        put_padded(out, value.len > 0 ? value.ptr : "", value_width);
        pn_opt_origin_text(v, i, out);
        pn_buf_puts(out, v->table->opts[i].no_effect ? "  (no effect in this version)\n" : "\n");
    }
    pn_buf_done(&value);
}

/* --- JSON --- */

static void put_json_value(struct pn_json *j, const struct pn_opt_values *v, size_t i)
{
    const char *field = (const char *)v->fields + v->table->opts[i].offset;
    switch (v->table->opts[i].type) {
    case PN_OPT_STR:
    case PN_OPT_CHOICE:
        pn_json_cstr(j, *(const char *const *)field);
        return;
    case PN_OPT_INT:
        pn_json_i64(j, *(const int64_t *)field);
        return;
    case PN_OPT_REAL:
        pn_json_f64(j, *(const double *)field);
        return;
    case PN_OPT_BOOL:
        pn_json_bool(j, *(const bool *)field);
        return;
    }
    PN_UNREACHABLE();
}

static void put_json_origin(struct pn_json *j, const struct pn_opt_values *v, size_t i)
{
    struct pn_buf origin;
    pn_buf_init(&origin, OUTPUT_MAX);
    pn_opt_origin_text(v, i, &origin);
    pn_json_key(j, "origin");
    pn_json_str(j, (struct pn_str){ origin.ptr, origin.len });
    pn_buf_done(&origin);
}

static void print_json(const struct pn_opt_values *v, struct pn_buf *out)
{
    struct pn_json j;
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    for (size_t i = 0; i < v->table->n; i++) {
        pn_json_key(&j, v->table->opts[i].key);
        pn_json_begin_object(&j);
        pn_json_key(&j, "value");
        put_json_value(&j, v, i);
        put_json_origin(&j, v, i);
        pn_json_key(&j, "effect");
        pn_json_bool(&j, !v->table->opts[i].no_effect);
        pn_json_end_object(&j);
    }
    pn_json_end_object(&j);
    pn_buf_putc(out, '\n');
}

/* --- .env --- */

/* Quoted when it is not one plain word; values hold no control characters. */
static void put_env_value(struct pn_buf *out, const char *text)
{
    static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:-+@%,";
    if (strspn(text, PLAIN) == strlen(text)) {
        pn_buf_puts(out, text);
        return;
    }
    pn_buf_putc(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            pn_buf_putc(out, '\\');
        pn_buf_putc(out, *text);
    }
    pn_buf_putc(out, '"');
}

static void print_env(const struct pn_opt_values *v, struct pn_buf *out)
{
    struct pn_buf value;
    pn_buf_init(&value, OUTPUT_MAX);
    for (size_t i = 0; i < v->table->n; i++) {
        const char *names = v->table->opts[i].env;
        pn_buf_clear(&value);
        pn_opt_value_text(v, i, &value);
        pn_buf_printf(out, "%.*s=", (int)strcspn(names, ","), names);
        put_env_value(out, value.len > 0 ? value.ptr : "");
        pn_buf_putc(out, '\n');
    }
    pn_buf_done(&value);
}

/* --- YAML --- */

/* A new "group:" line when the option's group is not the one before. Returns the key inside the group. */
static const char *enter_group(const struct pn_opt_table *t, size_t i, struct pn_buf *out)
{
    const char *key = t->opts[i].key;
    size_t group = strcspn(key, ".");
    if (i == 0 || strncmp(t->opts[i - 1].key, key, group + 1) != 0)
        pn_buf_printf(out, "%.*s:\n", (int)group, key);
    return key + group + 1;
}

static void print_yaml(const struct pn_opt_values *v, struct pn_buf *out)
{
    for (size_t i = 0; i < v->table->n; i++) {
        pn_buf_printf(out, "  %s: ", enter_group(v->table, i, out));
        struct pn_json j; /* a JSON scalar is a YAML scalar */
        pn_json_init(&j, out);
        put_json_value(&j, v, i);
        pn_buf_putc(out, '\n');
    }
}

/* --- documentation --- */

static void put_allowed(struct pn_buf *out, const struct pn_opt *o)
{
    switch (o->type) {
    case PN_OPT_STR:
        pn_buf_puts(out, "text");
        return;
    case PN_OPT_INT:
        pn_buf_printf(out, "%" PRId64 " to %" PRId64, (int64_t)o->min, (int64_t)o->max);
        return;
    case PN_OPT_REAL:
        pn_buf_printf(out, "%g to %g", o->min, o->max);
        return;
    case PN_OPT_BOOL:
        pn_buf_puts(out, "true, false");
        return;
    case PN_OPT_CHOICE:
        for (const char *p = o->choices; *p; p += strcspn(p, ","), p += *p == ',')
            pn_buf_printf(out, "%s%.*s", p > o->choices ? ", " : "", (int)strcspn(p, "|,"), p);
        return;
    }
    PN_UNREACHABLE();
}

/* `A`, `B`, `C` */
static void put_code_list(struct pn_buf *out, const char *list)
{
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
        pn_buf_printf(out, "%s`%.*s`", p > list ? ", " : "", (int)strcspn(p, ","), p);
}

static void put_row(struct pn_buf *out, const struct pn_opt *o)
{
    pn_buf_printf(out, "| `%s` | ", o->key);
    put_code_list(out, o->env);
    pn_buf_printf(out, " | `--%s` | ", o->flag);
    if (o->fallback[0])
        pn_buf_printf(out, "`%s`", o->fallback);
    pn_buf_puts(out, " | ");
    put_allowed(out, o);
    pn_buf_printf(out, " | %s%s |\n", o->help, o->no_effect ? " (no effect in this version)" : "");
}

/* The same whatever the settings are now: docs/configuration.md holds it. */
static void print_markdown(const struct pn_opt_values *v, struct pn_buf *out)
{
    pn_buf_puts(out, "| YAML | environment, `.env` | flag | default | allowed | meaning |\n"
                     "| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < v->table->n; i++)
        put_row(out, &v->table->opts[i]);
}

/* --- the command --- */

static const struct {
    const char *name;
    void (*print)(const struct pn_opt_values *v, struct pn_buf *out);
} PRINTERS[] = {
    { "table", print_table }, { "json", print_json },         { "env", print_env },
    { "yaml", print_yaml },   { "markdown", print_markdown },
};

static int print(const struct pn_opt_values *v, const char *format)
{
    struct pn_buf out;
    pn_buf_init(&out, OUTPUT_MAX);
    for (size_t i = 0; i < PN_ARRAY_LEN(PRINTERS); i++)
        if (strcmp(PRINTERS[i].name, format) == 0)
            PRINTERS[i].print(v, &out);
    bool ok = !out.failed && fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    pn_buf_done(&out);
    if (!ok)
        fprintf(stderr, "pinna config: the output could not be written\n");
    return ok ? 0 : 1;
}

static int run(int argc, char **argv, struct pn_arena *arena, struct pn_err *err)
{
    struct own own = { 0 };
    struct pn_config_loaded *c = NULL;
    int first = argc;
    int r = pn_cli_options(argc, argv, &OWN_TABLE, &own, arena, &c, &first, err);
    if (r < 0)
        return r;
    if (own.help)
        return pn_cli_print_help(USAGE, &OWN_TABLE, own.all) == 0 ? 0 : 1;
    if (first < argc)
        return pn_fail(err, PN_EINVAL, "unexpected argument '%.60s'", argv[first]);
    return print(&c->values, own.format);
}

int pn_cmd_config(int argc, char **argv)
{
    struct pn_err err = { 0 };
    struct pn_arena *arena = NULL;
    int r = pn_arena_new(ARENA_MAX, &arena);
    r = r == 0 ? run(argc, argv, arena, &err) : pn_fail(&err, PN_ENOMEM, "no memory");
    if (r < 0)
        fprintf(stderr, "pinna config: %s\n", err.text);
    pn_arena_free(arena);
    return r < 0 ? 2 : r;
}
