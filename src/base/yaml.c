/* yaml.c - see yaml.h. libyaml's events, one at a time, into dotted keys.
 *
 * The dotted key of the place we are in is one fixed buffer that grows and shrinks with the nesting. Every
 * event is freed before the next one is read, and whatever could make a small file large (aliases) or deep
 * ends the parse. libyaml sees at most FILE_MAX bytes. */
#include "base/yaml.h"

#include "base/file.h"
#include "base/option_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_MAX  ((size_t)256 << 10)
#define DEPTH_MAX 8
#define KEYS_MAX  1024
#define KEY_BYTES 256 /* of a whole dotted key */

struct reader {
    yaml_parser_t parser;
    const char *path;
    pn_yaml_fn fn;
    void *ctx;
    struct pn_err *err;
    char key[KEY_BYTES];
    size_t key_len;
    size_t parents[DEPTH_MAX]; /* key_len outside of each open mapping */
    int depth;                 /* open mappings */
    bool want_value;           /* a key was read, its value comes next */
    bool document;             /* one was begun */
    char *seen[KEYS_MAX];      /* every dotted key so far; owned */
    size_t n_seen;
};

static int line_of(const yaml_mark_t *mark)
{
    return (int)PN_MIN(mark->line, (size_t)INT32_MAX - 1) + 1;
}

static int refuse(struct reader *rd, const yaml_event_t *e, const char *what)
{
    return pn_fail(rd->err, PN_EFORMAT, "%s:%d: %s", rd->path, line_of(&e->start_mark), what);
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

static int remember_key(struct reader *rd, const yaml_event_t *e)
{
    for (size_t i = 0; i < rd->n_seen; i++)
        if (strcmp(rd->seen[i], rd->key) == 0)
            return pn_fail(rd->err, PN_EFORMAT, "%s:%d: the key '%s' is there twice", rd->path,
                           line_of(&e->start_mark), rd->key);
    if (rd->n_seen == KEYS_MAX)
        return pn_fail(rd->err, PN_ELIMIT, "%s: more than %d keys", rd->path, KEYS_MAX);
    char *copy = strdup(rd->key);
    if (!copy)
        return pn_fail(rd->err, PN_ENOMEM, "no memory to read %s", rd->path);
    rd->seen[rd->n_seen++] = copy;
    return 0;
}

static int take_key(struct reader *rd, const yaml_event_t *e, struct pn_str word)
{
    if (!good_key(word))
        return refuse(rd, e, "a key must be one word of letters, digits, '_', '-' and '.'");
    size_t dot = rd->key_len > 0 ? 1 : 0;
    if (rd->key_len + dot + word.len >= sizeof(rd->key))
        return refuse(rd, e, "the key is too long");
    if (dot)
        rd->key[rd->key_len] = '.';
    memcpy(rd->key + rd->key_len + dot, word.ptr, word.len);
    rd->key_len += dot + word.len;
    rd->key[rd->key_len] = 0;
    rd->want_value = true;
    return remember_key(rd, e);
}

static void cut_key(struct reader *rd, size_t len)
{
    rd->key_len = len;
    rd->key[len] = 0;
}

static bool is_null(const yaml_event_t *e, struct pn_str word)
{
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (word.len == 0 || pn_str_is(word, "~") || pn_str_ieq(word, PN_STR("null")));
}

static int take_value(struct reader *rd, const yaml_event_t *e, struct pn_str word)
{
    struct pn_str value = is_null(e, word) ? (struct pn_str){ 0 } : word;
    int r = rd->fn(rd->ctx, (struct pn_str){ rd->key, rd->key_len }, value, line_of(&e->start_mark), rd->err);
    cut_key(rd, rd->parents[rd->depth - 1]);
    rd->want_value = false;
    return PN_MIN(r, 0);
}

static int on_scalar(struct reader *rd, const yaml_event_t *e)
{
    struct pn_str word = { (const char *)e->data.scalar.value, e->data.scalar.length };
    if (e->data.scalar.anchor)
        return refuse(rd, e, "anchors are not allowed here");
    if (e->data.scalar.tag)
        return refuse(rd, e, "tags are not allowed here");
    if (rd->depth == 0) /* an empty document is fine */
        return is_null(e, word) ? 0 : refuse(rd, e, "expected 'key: value' lines");
    return rd->want_value ? take_value(rd, e, word) : take_key(rd, e, word);
}

static int on_mapping(struct reader *rd, const yaml_event_t *e)
{
    if (e->data.mapping_start.anchor)
        return refuse(rd, e, "anchors are not allowed here");
    if (e->data.mapping_start.tag)
        return refuse(rd, e, "tags are not allowed here");
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

static int on_document(struct reader *rd, const yaml_event_t *e)
{
    if (rd->document)
        return refuse(rd, e, "only one document is allowed");
    if (e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return refuse(rd, e, "tags are not allowed here");
    rd->document = true;
    return 0;
}

static int on_event(struct reader *rd, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(rd, e);
    case YAML_SCALAR_EVENT:
        return on_scalar(rd, e);
    case YAML_MAPPING_START_EVENT:
        return on_mapping(rd, e);
    case YAML_MAPPING_END_EVENT:
        on_mapping_end(rd);
        return 0;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return refuse(rd, e, "lists are not allowed here");
    case YAML_ALIAS_EVENT:
        return refuse(rd, e, "aliases are not allowed here");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    PN_UNREACHABLE();
}

/* Errors of the byte layer carry an offset instead of a mark. */
static int problem_line(const yaml_parser_t *p, struct pn_str text)
{
    if (p->error != YAML_READER_ERROR)
        return line_of(&p->problem_mark);
    int line = 1;
    for (size_t i = 0; i < text.len && i < p->problem_offset; i++)
        line += text.ptr[i] == '\n';
    return line;
}

static int syntax_error(struct reader *rd, struct pn_str text)
{
    if (rd->parser.error == YAML_MEMORY_ERROR)
        return pn_fail(rd->err, PN_ENOMEM, "no memory to read %s", rd->path);
    return pn_fail(rd->err, PN_EFORMAT, "%s:%d: %s", rd->path, problem_line(&rd->parser, text),
                   rd->parser.problem ? rd->parser.problem : "not readable as YAML");
}

static int read_events(struct reader *rd, struct pn_str text)
{
    for (bool end = false; !end;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&rd->parser, &e))
            return syntax_error(rd, text);
        int r = on_event(rd, &e);
        end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
        if (r < 0)
            return r;
    }
    return 0;
}

static void reader_free(struct reader *rd)
{
    yaml_parser_delete(&rd->parser);
    for (size_t i = 0; i < rd->n_seen; i++)
        free(rd->seen[i]);
    free(rd);
}

int pn_yaml_parse(struct pn_str text, const char *path, pn_yaml_fn fn, void *ctx, struct pn_err *err)
{
    if (text.len > FILE_MAX)
        return pn_fail(err, PN_ELIMIT, "%s is larger than %zu KB", path, FILE_MAX >> 10);
    struct reader *rd = calloc(1, sizeof(*rd));
    if (!rd || !yaml_parser_initialize(&rd->parser)) {
        free(rd);
        return pn_fail(err, PN_ENOMEM, "no memory to read %s", path);
    }
    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        text = (struct pn_str){ text.ptr + 3, text.len - 3 };
    rd->path = path;
    rd->fn = fn;
    rd->ctx = ctx;
    rd->err = err;
    yaml_parser_set_encoding(&rd->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&rd->parser, (const unsigned char *)(text.len > 0 ? text.ptr : ""),
                                 text.len);
    int r = read_events(rd, text);
    reader_free(rd);
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
