/* yaml.c - see yaml.h. Events, one at a time, into dotted keys.
 *
 * The dotted key of the place we are in is one fixed buffer that grows and shrinks with the nesting. */
#include "base/yaml.h"

#include "base/file.h"
#include "base/option_impl.h"
#include "base/yaml_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX  ((size_t)256 << 10)
#define DEPTH_MAX 8
#define KEYS_MAX  1024
#define KEY_BYTES 256 /* of a whole dotted key */

struct reader {
    const char *path;
    pn_yaml_fn fn;
    void *ctx;
    struct pn_err *err;
    char key[KEY_BYTES];
    size_t key_len;
    size_t parents[DEPTH_MAX]; /* key_len outside of each open mapping */
    int depth;                 /* open mappings */
    bool want_value;           /* a key was read, its value comes next */
    char *seen[KEYS_MAX];      /* every dotted key so far; owned */
    size_t n_seen;
};

static int refuse(struct reader *rd, const struct pn_yaml_event *e, const char *what)
{
    return pn_fail(rd->err, PN_EFORMAT, "%s:%d: %s", rd->path, e->line, what);
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static bool good_key(struct pn_str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!is_key_char(word.ptr[i]))
            return false;
    return word.len > 0;
}

static int remember_key(struct reader *rd, const struct pn_yaml_event *e)
{
    for (size_t i = 0; i < rd->n_seen; i++)
        if (strcmp(rd->seen[i], rd->key) == 0)
            return pn_fail(rd->err, PN_EFORMAT, "%s:%d: the key '%s' is there twice", rd->path, e->line,
                           rd->key);
    if (rd->n_seen == KEYS_MAX)
        return pn_fail(rd->err, PN_ELIMIT, "%s: more than %d keys", rd->path, KEYS_MAX);
    char *copy = strdup(rd->key);
    if (!copy)
        return pn_fail(rd->err, PN_ENOMEM, "no memory to read %s", rd->path);
    rd->seen[rd->n_seen++] = copy;
    return 0;
}

static int take_key(struct reader *rd, const struct pn_yaml_event *e)
{
    if (!good_key(e->text))
        return refuse(rd, e, "a key must be one word of letters, digits, '_', '-' and '.'");
    size_t dot = rd->key_len > 0 ? 1 : 0;
    if (rd->key_len + dot + e->text.len >= sizeof(rd->key))
        return refuse(rd, e, "the key is too long");
    if (dot)
        rd->key[rd->key_len] = '.';
    memcpy(rd->key + rd->key_len + dot, e->text.ptr, e->text.len);
    rd->key_len += dot + e->text.len;
    rd->key[rd->key_len] = 0;
    rd->want_value = true;
    return remember_key(rd, e);
}

static void cut_key(struct reader *rd, size_t len)
{
    rd->key_len = len;
    rd->key[len] = 0;
}

static int take_value(struct reader *rd, const struct pn_yaml_event *e)
{
    struct pn_str value = pn_yaml_is_null(e) ? (struct pn_str){ 0 } : e->text;
    int r = rd->fn(rd->ctx, (struct pn_str){ rd->key, rd->key_len }, value, e->line, rd->err);
    cut_key(rd, rd->parents[rd->depth - 1]);
    rd->want_value = false;
    return PN_MIN(r, 0);
}

static int on_scalar(struct reader *rd, const struct pn_yaml_event *e)
{
    if (rd->depth == 0) /* an empty document is fine */
        return pn_yaml_is_null(e) ? 0 : refuse(rd, e, "expected 'key: value' lines");
    return rd->want_value ? take_value(rd, e) : take_key(rd, e);
}

static int on_mapping(struct reader *rd, const struct pn_yaml_event *e)
{
    if (rd->depth > 0 && !rd->want_value)
        return refuse(rd, e, "a mapping cannot be a key");
    if (rd->depth == DEPTH_MAX)
        return refuse(rd, e, "nested too deeply");
    rd->parents[rd->depth++] = rd->key_len;
    rd->want_value = false;
    return 0;
}

static void on_mapping_end(struct reader *rd)
{
    rd->depth--;
    cut_key(rd, rd->depth > 0 ? rd->parents[rd->depth - 1] : 0);
}

static int on_event(void *ctx, const struct pn_yaml_event *e, struct pn_err *err)
{
    struct reader *rd = ctx;
    switch (e->kind) {
    case PN_YAML_SCALAR:
        return on_scalar(rd, e);
    case PN_YAML_MAP:
        return on_mapping(rd, e);
    case PN_YAML_MAP_END:
        on_mapping_end(rd);
        return 0;
    case PN_YAML_LIST:
    case PN_YAML_LIST_END:
        return refuse(rd, e, "lists are not allowed here");
    }
    PN_UNREACHABLE();
}

int pn_yaml_parse(struct pn_str text, const char *path, pn_yaml_fn fn, void *ctx, struct pn_err *err)
{
    if (text.len > FILE_MAX)
        return pn_fail(err, PN_ELIMIT, "%s is larger than %zu KB", path, FILE_MAX >> 10);
    struct reader *rd = calloc(1, sizeof(*rd));
    if (!rd)
        return pn_fail(err, PN_ENOMEM, "no memory to read %s", path);
    rd->path = path;
    rd->fn = fn;
    rd->ctx = ctx;
    rd->err = err;
    int r = pn_yaml_events(text, path, on_event, rd, err);
    for (size_t i = 0; i < rd->n_seen; i++)
        free(rd->seen[i]);
    free(rd);
    return r;
}

/* --- into a table --- */

struct filling {
    struct pn_opt_values *values;
    const char *path;
};

/* Whether some option is inside `group` ("server" for "server.port"). */
static bool is_group(const struct pn_opt_table *t, struct pn_str group)
{
    for (size_t i = 0; i < t->n; i++) {
        const char *key = t->opts[i].key;
        if (key && strlen(key) > group.len && key[group.len] == '.' && memcmp(key, group.ptr, group.len) == 0)
            return true;
    }
    return false;
}

static int set_one(void *ctx, struct pn_str key, struct pn_str value, int line, struct pn_err *err)
{
    struct filling *f = ctx;
    const struct pn_opt_table *t = f->values->table;
    int i = pn_opt_by_key(t, key);
    if (i >= 0 && !value.ptr)
        return 0;
    if (i >= 0)
        return pn_opt_set(f->values, (size_t)i, value, PN_FROM_YAML, f->path, line, err);
    if (!value.ptr && is_group(t, key)) /* a group whose lines are all commented out */
        return 0;
    char hint[96];
    pn_opt_suggest(t, PN_NAME_KEY, key, hint);
    return pn_fail(err, PN_EINVAL, "%s:%d: unknown key '%s'%s", f->path, line, pn_opt_quote(key).text, hint);
}

int pn_opt_read_yaml(struct pn_opt_values *v, const char *path, struct pn_err *err)
{
    struct pn_buf text;
    pn_buf_init(&text, FILE_MAX);
    struct filling f = { v, path };
    int r = pn_file_read(path, &text, err);
    if (r == 0)
        r = pn_yaml_parse((struct pn_str){ text.ptr, text.len }, path, set_one, &f, err);
    pn_buf_done(&text);
    return r;
}
