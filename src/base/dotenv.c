/* dotenv.c - see dotenv.h. A bounded cursor over one line at a time; no expansion, no globals. */
#include "base/dotenv.h"

#include "base/file.h"
#include "base/option_impl.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX ((size_t)64 << 10)

struct parser {
    const char *path;
    int line;
    pn_dotenv_fn fn;
    void *ctx;
    struct pn_buf value; /* the unescaped one of the current line */
    struct pn_err *err;
};

static int refuse(const struct parser *p, const char *what)
{
    return pn_fail(p->err, PN_EFORMAT, "%s:%d: %s", p->path, p->line, what);
}

static void skip(struct pn_str *s, size_t n)
{
    *s = (struct pn_str){ s->ptr + n, s->len - n };
}

static void skip_blanks(struct pn_str *s)
{
    while (s->len > 0 && (s->ptr[0] == ' ' || s->ptr[0] == '\t'))
        skip(s, 1);
}

static bool is_name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static struct pn_str take_name(struct pn_str *s)
{
    size_t n = 0;
    while (n < s->len && is_name_char(s->ptr[n], n == 0))
        n++;
    struct pn_str name = { s->ptr, n };
    skip(s, n);
    return name;
}

/* Up to a '#' that follows a blank; without the blanks at the end. */
static struct pn_str unquoted(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '#' && (i == 0 || s.ptr[i - 1] == ' ' || s.ptr[i - 1] == '\t'))
            s.len = i;
    return pn_str_trim(s);
}

static int single_quoted(const struct parser *p, struct pn_str *s, struct pn_str *ret)
{
    const char *end = memchr(s->ptr, '\'', s->len);
    if (!end)
        return refuse(p, "the closing ' is missing");
    *ret = (struct pn_str){ s->ptr, (size_t)(end - s->ptr) };
    skip(s, ret->len + 1);
    return 0;
}

static int take_escape(struct parser *p, struct pn_str *s)
{
    static const char FROM[] = "nt\"\\", TO[] = "\n\t\"\\";
    const char *at = s->len > 0 && s->ptr[0] ? strchr(FROM, s->ptr[0]) : NULL;
    if (!at)
        return refuse(p, "only \\n, \\t, \\\" and \\\\ may follow a backslash in double quotes");
    pn_buf_putc(&p->value, TO[at - FROM]);
    skip(s, 1);
    return 0;
}

static int double_quoted(struct parser *p, struct pn_str *s, struct pn_str *ret)
{
    pn_buf_clear(&p->value);
    while (s->len > 0 && s->ptr[0] != '"') {
        char c = s->ptr[0];
        skip(s, 1);
        int r = 0;
        if (c == '\\')
            r = take_escape(p, s);
        else
            pn_buf_putc(&p->value, c);
        if (r < 0)
            return r;
    }
    if (s->len == 0)
        return refuse(p, "the closing \" is missing");
    if (p->value.failed)
        return pn_fail(p->err, PN_ENOMEM, "no memory to read %s", p->path);
    skip(s, 1);
    *ret = (struct pn_str){ p->value.len > 0 ? p->value.ptr : "", p->value.len };
    return 0;
}

/* `s` begins behind the '='. */
static int parse_value(struct parser *p, struct pn_str s, struct pn_str *ret)
{
    skip_blanks(&s);
    if (s.len == 0 || (s.ptr[0] != '\'' && s.ptr[0] != '"')) {
        *ret = unquoted(s);
        return 0;
    }
    char quote = s.ptr[0];
    skip(&s, 1);
    int r = quote == '"' ? double_quoted(p, &s, ret) : single_quoted(p, &s, ret);
    if (r < 0)
        return r;
    skip_blanks(&s);
    return s.len == 0 || s.ptr[0] == '#' ? 0 : refuse(p, "something follows the closing quote");
}

static void skip_export(struct pn_str *s)
{
    if (s->len > 7 && memcmp(s->ptr, "export", 6) == 0 && (s->ptr[6] == ' ' || s->ptr[6] == '\t')) {
        skip(s, 7);
        skip_blanks(s);
    }
}

static int parse_line(struct parser *p, struct pn_str s)
{
    s = pn_str_trim(s);
    if (s.len == 0 || s.ptr[0] == '#')
        return 0;
    if (memchr(s.ptr, 0, s.len))
        return refuse(p, "a NUL byte");
    skip_export(&s);
    struct pn_str name = take_name(&s), value;
    skip_blanks(&s);
    if (name.len == 0 || s.len == 0 || s.ptr[0] != '=')
        return refuse(p, "not a line of the form NAME=value");
    skip(&s, 1);
    int r = parse_value(p, s, &value);
    return r < 0 ? r : p->fn(p->ctx, name, value, p->line, p->err);
}

int pn_dotenv_parse(struct pn_str text, const char *path, pn_dotenv_fn fn, void *ctx, struct pn_err *err)
{
    if (text.len > FILE_MAX)
        return pn_fail(err, PN_ELIMIT, "%s is larger than %zu KB", path, FILE_MAX >> 10);
    struct parser p = { .path = path, .fn = fn, .ctx = ctx, .err = err };
    pn_buf_init(&p.value, FILE_MAX);
    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        skip(&text, 3);
    int r = 0;
    while (text.len > 0 && r >= 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct pn_str line = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };
        p.line++;
        r = parse_line(&p, line);
        skip(&text, end ? line.len + 1 : line.len);
    }
    pn_buf_done(&p.value);
    return PN_MIN(r, 0);
}

/* --- into a table --- */

struct filling {
    struct pn_opt_values *values;
    const char *path;
    int *ranks; /* of each option: place of the name that set it, + 1; 0 while none did */
};

static int set_one(void *ctx, struct pn_str name, struct pn_str value, int line, struct pn_err *err)
{
    struct filling *f = ctx;
    const struct pn_opt_table *t = f->values->table;
    int i = pn_opt_by_env(t, name);
    if (i < 0) {
        char hint[96];
        pn_opt_suggest(t, PN_NAME_ENV, name, hint);
        return pn_fail(err, PN_EINVAL, "%s:%d: unknown name '%s'%s", f->path, line, pn_opt_quote(name).text,
                       hint);
    }
    int rank = pn_opt_env_rank(&t->opts[i], name) + 1;
    if (value.len == 0 || (f->ranks[i] > 0 && f->ranks[i] < rank))
        return 0;
    f->ranks[i] = rank;
    char where[192];
    snprintf(where, sizeof(where), "%s:%d: %.*s", f->path, line, (int)name.len, name.ptr);
    return pn_opt_assign(f->values, (size_t)i, value, (struct pn_opt_origin){ PN_FROM_DOTENV, f->path, line },
                         where, err);
}

int pn_opt_read_dotenv(struct pn_opt_values *v, const char *path, bool required, struct pn_err *err)
{
    struct pn_buf text;
    pn_buf_init(&text, FILE_MAX);
    struct pn_err why = { 0 };
    int r = pn_file_read(path, &text, &why);
    if (r < 0) {
        pn_buf_done(&text);
        bool fine = r == -PN_ENOTFOUND && !required;
        return fine ? 0 : pn_fail(err, (enum pn_error) - r, "%s", why.text);
    }
    struct filling f = { v, path, pn_arena_alloc(v->arena, v->table->n * sizeof(int)) };
    r = f.ranks ? pn_dotenv_parse((struct pn_str){ text.ptr, text.len }, path, set_one, &f, err)
                : pn_fail(err, PN_ENOMEM, "no memory to read %s", path);
    pn_buf_done(&text);
    return r;
}
