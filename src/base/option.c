/* option.c - see option.h. Tables, values and where they came from.
 *
 * Invariant: every field always holds a value that its option allows. A text is parsed completely before
 * anything is stored. */
#include "base/option.h"

#include "base/json.h"
#include "base/option_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 4096 /* bytes of one value; a path is no longer */

union value {
    const char *str;
    int64_t i64;
    double f64;
    bool boolean;
};

struct pn_opt_quoted pn_opt_quote(struct pn_str s)
{
    struct pn_opt_quoted q = { { 0 } };
    struct pn_buf b;
    pn_buf_init(&b, sizeof(q.text) - sizeof("..."));
    while (s.len > 0) {
        size_t before = b.len, n = PN_MAX(pn_utf8_next(s, NULL), 1);
        pn_json_escape(&b, (struct pn_str){ s.ptr, n });
        if (b.failed) { /* a character shows whole or not at all */
            b.len = before;
            break;
        }
        s = (struct pn_str){ s.ptr + n, s.len - n };
    }
    snprintf(q.text, sizeof(q.text), "%.*s%s", (int)b.len, b.ptr ? b.ptr : "", s.len > 0 ? "..." : "");
    pn_buf_done(&b);
    return q;
}

struct pn_str pn_opt_next_word(const char **list)
{
    if (!*list)
        return (struct pn_str){ 0 };
    struct pn_str word = { *list, strcspn(*list, ",") };
    *list += word.len;
    *list = **list == ',' ? *list + 1 : NULL;
    return word;
}

int pn_opt_env_rank(const struct pn_opt *o, struct pn_str name)
{
    const char *list = o->env;
    struct pn_str word;
    for (int rank = 0; (word = pn_opt_next_word(&list)).ptr; rank++)
        if (pn_str_eq(word, name))
            return rank;
    return -PN_ENOTFOUND;
}

int pn_opt_by_key(const struct pn_opt_table *t, struct pn_str key)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->opts[i].key && pn_str_is(key, t->opts[i].key))
            return (int)i;
    return -PN_ENOTFOUND;
}

int pn_opt_by_env(const struct pn_opt_table *t, struct pn_str name)
{
    for (size_t i = 0; i < t->n; i++)
        if (pn_opt_env_rank(&t->opts[i], name) >= 0)
            return (int)i;
    return -PN_ENOTFOUND;
}

int pn_opt_by_flag(const struct pn_opt_table *t, struct pn_str flag)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->opts[i].flag && pn_str_is(flag, t->opts[i].flag))
            return (int)i;
    return -PN_ENOTFOUND;
}

/* --- text to value --- */

static int refuse(struct pn_err *err, const char *where, struct pn_str text, const char *what)
{
    return pn_fail(err, PN_EINVAL, "%s: '%s' %s", where, pn_opt_quote(text).text, what);
}

static bool has_control_bytes(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

static int parse_str(struct pn_opt_values *v, const struct pn_opt *o, struct pn_str text, union value *ret,
                     const char *where, struct pn_err *err)
{
    if (text.len > TEXT_MAX)
        return pn_fail(err, PN_EINVAL, "%s: longer than %d bytes", where, TEXT_MAX);
    if (has_control_bytes(text))
        return refuse(err, where, text, "holds a control character");
    if (o->choices && pn_str_is(text, o->choices))
        text.len = 0;
    ret->str = pn_arena_str(v->arena, text);
    return ret->str ? 0 : pn_fail(err, PN_ENOMEM, "%s: no memory", where);
}

static int parse_int(const struct pn_opt *o, struct pn_str text, union value *ret, const char *where,
                     struct pn_err *err)
{
    if (pn_parse_i64(text, (int64_t)o->min, (int64_t)o->max, &ret->i64) == 0)
        return 0;
    char what[96];
    snprintf(what, sizeof(what), "is not a whole number between %.0f and %.0f", o->min, o->max);
    return refuse(err, where, text, what);
}

static int parse_real(const struct pn_opt *o, struct pn_str text, union value *ret, const char *where,
                      struct pn_err *err)
{
    if (pn_parse_f64(text, o->min, o->max, &ret->f64) == 0)
        return 0;
    char what[96], min[32], max[32];
    pn_format_f64(o->min, min);
    pn_format_f64(o->max, max);
    snprintf(what, sizeof(what), "is not a number between %s and %s", min, max);
    return refuse(err, where, text, what);
}

static int parse_bool(struct pn_str text, union value *ret, const char *where, struct pn_err *err)
{
    return pn_parse_bool(text, &ret->boolean) == 0 ? 0 : refuse(err, where, text, "is not true or false");
}

/* The next word of "a|b|c" in *names, or one with ptr NULL. */
static struct pn_str next_alias(struct pn_str *names)
{
    if (!names->ptr)
        return (struct pn_str){ 0 };
    const char *bar = memchr(names->ptr, '|', names->len);
    struct pn_str word = { names->ptr, bar ? (size_t)(bar - names->ptr) : names->len };
    *names = bar ? (struct pn_str){ bar + 1, names->len - word.len - 1 } : (struct pn_str){ 0 };
    return word;
}

/* What is stored for `text`, or a slice with ptr NULL. */
static struct pn_str find_choice(const char *choices, struct pn_str text)
{
    struct pn_str names;
    while ((names = pn_opt_next_word(&choices)).ptr) {
        struct pn_str canonical = next_alias(&(struct pn_str){ names.ptr, names.len }), word;
        while ((word = next_alias(&names)).ptr)
            if (pn_str_ieq(word, text))
                return canonical;
    }
    return (struct pn_str){ 0 };
}

static int parse_choice(struct pn_opt_values *v, const struct pn_opt *o, struct pn_str text, union value *ret,
                        const char *where, struct pn_err *err)
{
    struct pn_str found = find_choice(o->choices, text);
    if (found.ptr) {
        ret->str = pn_arena_str(v->arena, found);
        return ret->str ? 0 : pn_fail(err, PN_ENOMEM, "%s: no memory", where);
    }
    char what[128];
    pn_opt_choices_text(o, what);
    return pn_fail(err, PN_EINVAL, "%s: '%s' is not one of %s", where, pn_opt_quote(text).text, what);
}

static int parse_value(struct pn_opt_values *v, const struct pn_opt *o, struct pn_str text, union value *ret,
                       const char *where, struct pn_err *err)
{
    if (o->first_of_list) {
        const char *comma = text.len > 0 ? memchr(text.ptr, ',', text.len) : NULL;
        text.len = comma ? (size_t)(comma - text.ptr) : text.len;
    }
    if (o->type != PN_OPT_STR)
        text = pn_str_trim(text);
    switch (o->type) {
    case PN_OPT_STR:
        return parse_str(v, o, text, ret, where, err);
    case PN_OPT_INT:
        return parse_int(o, text, ret, where, err);
    case PN_OPT_REAL:
        return parse_real(o, text, ret, where, err);
    case PN_OPT_BOOL:
        return parse_bool(text, ret, where, err);
    case PN_OPT_CHOICE:
        return parse_choice(v, o, text, ret, where, err);
    }
    PN_UNREACHABLE();
}

/* --- value to field --- */

static void *field_of(const struct pn_opt_values *v, size_t i)
{
    return (char *)v->fields + v->table->opts[i].offset;
}

static void store(const struct pn_opt_values *v, size_t i, const union value *value)
{
    void *field = field_of(v, i);
    switch (v->table->opts[i].type) {
    case PN_OPT_STR:
    case PN_OPT_CHOICE:
        *(const char **)field = value->str;
        return;
    case PN_OPT_INT:
        *(int64_t *)field = value->i64;
        return;
    case PN_OPT_REAL:
        *(double *)field = value->f64;
        return;
    case PN_OPT_BOOL:
        *(bool *)field = value->boolean;
        return;
    }
    PN_UNREACHABLE();
}

int pn_opt_assign(struct pn_opt_values *v, size_t i, struct pn_str text, struct pn_opt_origin origin,
                  const char *where, struct pn_err *err)
{
    union value value;
    int r = parse_value(v, &v->table->opts[i], text, &value, where, err);
    if (r < 0 || origin.from < v->origins[i].from)
        return r;
    origin.name = pn_arena_str(v->arena, pn_str(origin.name));
    if (!origin.name)
        return pn_fail(err, PN_ENOMEM, "%s: no memory", where);
    store(v, i, &value);
    v->origins[i] = origin;
    return 0;
}

int pn_opt_set(struct pn_opt_values *v, size_t i, struct pn_str text, enum pn_origin from, const char *name,
               int line, struct pn_err *err)
{
    const struct pn_opt *o = &v->table->opts[i];
    const char *env = o->env, *own = o->key ? o->key : o->flag ? o->flag : "option";
    struct pn_str word = from == PN_FROM_DOTENV && env ? pn_opt_next_word(&env) : pn_str(own);
    char where[192];
    switch (from) {
    case PN_FROM_DEFAULT:
        snprintf(where, sizeof(where), "%s", own);
        break;
    case PN_FROM_YAML:
    case PN_FROM_DOTENV:
        snprintf(where, sizeof(where), "%s:%d: %.*s", name, line, (int)word.len, word.ptr);
        break;
    case PN_FROM_ENV:
    case PN_FROM_FLAG:
        snprintf(where, sizeof(where), "%s", name);
        break;
    }
    return pn_opt_assign(v, i, text, (struct pn_opt_origin){ from, name, line }, where, err);
}

int pn_opt_init(struct pn_opt_values *v, const struct pn_opt_table *table, void *fields,
                struct pn_arena *arena)
{
    struct pn_opt_origin *origins = pn_arena_alloc(arena, table->n * sizeof(*origins));
    if (!origins)
        return -PN_ENOMEM;
    struct pn_opt_values filled = { .table = table, .fields = fields, .origins = origins, .arena = arena };
    for (size_t i = 0; i < table->n; i++) {
        int r = pn_opt_set(&filled, i, pn_str(table->opts[i].fallback), PN_FROM_DEFAULT, "", 0, NULL);
        if (r < 0)
            return r;
    }
    *v = filled;
    return 0;
}

/* --- value to text --- */

void pn_opt_choices_text(const struct pn_opt *o, char out[128])
{
    const char *list = o->choices;
    struct pn_str names;
    out[0] = 0;
    for (size_t used = 0; (names = pn_opt_next_word(&list)).ptr && used < 128;) {
        struct pn_str word = next_alias(&names);
        int n = snprintf(out + used, 128 - used, "%s%.*s", used > 0 ? ", " : "", (int)word.len, word.ptr);
        used += (size_t)PN_MAX(n, 0);
    }
}

void pn_opt_value_text(const struct pn_opt_values *v, size_t i, struct pn_buf *out)
{
    const struct pn_opt *o = &v->table->opts[i];
    const void *field = field_of(v, i);
    char number[32];
    switch (o->type) {
    case PN_OPT_STR:
    case PN_OPT_CHOICE: {
        const char *text = *(const char *const *)field;
        pn_buf_puts(out, o->type == PN_OPT_STR && !text[0] && o->choices ? o->choices : text);
        return;
    }
    case PN_OPT_INT:
        pn_buf_printf(out, "%" PRId64, *(const int64_t *)field);
        return;
    case PN_OPT_REAL:
        pn_format_f64(*(const double *)field, number);
        pn_buf_puts(out, number);
        return;
    case PN_OPT_BOOL:
        pn_buf_puts(out, *(const bool *)field ? "true" : "false");
        return;
    }
    PN_UNREACHABLE();
}

void pn_opt_origin_text(const struct pn_opt_values *v, size_t i, struct pn_buf *out)
{
    const struct pn_opt_origin *from = &v->origins[i];
    switch (from->from) {
    case PN_FROM_DEFAULT:
        pn_buf_puts(out, "default");
        return;
    case PN_FROM_YAML:
    case PN_FROM_DOTENV:
        pn_buf_printf(out, "%s:%d", from->name, from->line);
        return;
    case PN_FROM_ENV:
        pn_buf_printf(out, "env %s", from->name);
        return;
    case PN_FROM_FLAG:
        pn_buf_puts(out, from->name);
        return;
    }
    PN_UNREACHABLE();
}
