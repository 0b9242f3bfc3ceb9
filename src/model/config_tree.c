/* config_tree.c - see config_tree.h. The events of the file become entries, sorted by their dotted key; the
 * items of all lists lie in one array. */
#include "model/config_tree.h"

#include "base/arena.h"
#include "base/yaml_events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 4 << 20,
    KEYS_MAX = 8192,
    ITEMS_MAX = 1 << 19,
    DEPTH_MAX = 32,
    KEY_BYTES = 512, /* of a whole dotted key */
    ARENA_MAX = 64 << 20,
};

enum entry_kind { ENTRY_NULL, ENTRY_SCALAR, ENTRY_LIST, ENTRY_MAP };

struct entry {
    const char *key, *text; /* text: of a scalar */
    enum entry_kind kind;
    bool plain;
    int line;
    size_t first, n; /* of a list: its items */
};

struct pn_config_tree {
    struct pn_arena *strings;
    const char *path;
    struct entry *entries; /* by key */
    size_t n_entries, cap_entries;
    const char **items; /* NULL: not a scalar */
    size_t n_items, cap_items;
};

struct reading {
    struct pn_config_tree *tree;
    char key[KEY_BYTES];
    size_t key_len;
    size_t parents[DEPTH_MAX]; /* key_len outside of each open map */
    int depth;                 /* open maps */
    int passed_over;           /* open maps and lists inside a list */
    bool want_value;           /* a key was read, its value comes next */
    bool in_list;
    struct pn_err *err;
};

static int refuse(struct reading *rd, const struct pn_yaml_event *e, const char *what)
{
    return pn_fail(rd->err, PN_EFORMAT, "%.100s:%d: %s", rd->tree->path, e->line, what);
}

static int no_memory(struct reading *rd)
{
    return pn_fail(rd->err, PN_ENOMEM, "no memory to read %.150s", rd->tree->path);
}

static int too_many(struct reading *rd, int max, const char *what)
{
    return pn_fail(rd->err, PN_ELIMIT, "%.100s: more than %d %s", rd->tree->path, max, what);
}

static void *grown(void *array, size_t *cap, size_t size)
{
    size_t more = *cap ? 2 * *cap : 64;
    void *larger = reallocarray(array, more, size);
    if (larger)
        *cap = more;
    return larger;
}

/* ---- events to entries ---- */

static int add_entry(struct reading *rd, const struct pn_yaml_event *e, enum entry_kind kind)
{
    struct pn_config_tree *t = rd->tree;
    if (t->n_entries == KEYS_MAX)
        return too_many(rd, KEYS_MAX, "keys");
    if (t->n_entries == t->cap_entries) {
        struct entry *larger = grown(t->entries, &t->cap_entries, sizeof(*larger));
        if (!larger)
            return no_memory(rd);
        t->entries = larger;
    }
    struct entry *to = &t->entries[t->n_entries];
    *to = (struct entry){ .kind = kind, .plain = e->plain, .line = e->line, .first = t->n_items };
    to->key = pn_arena_strndup(t->strings, rd->key, rd->key_len);
    if (kind == ENTRY_SCALAR)
        to->text = pn_arena_str(t->strings, e->text);
    if (!to->key || (kind == ENTRY_SCALAR && !to->text))
        return no_memory(rd);
    t->n_entries++;
    return 0;
}

/* An item of the list that is the newest entry; `text` NULL: a map or a list. */
static int add_item(struct reading *rd, const struct pn_str *text)
{
    struct pn_config_tree *t = rd->tree;
    if (t->n_items == ITEMS_MAX)
        return too_many(rd, ITEMS_MAX, "list items");
    if (t->n_items == t->cap_items) {
        const char **larger = grown(t->items, &t->cap_items, sizeof(*larger));
        if (!larger)
            return no_memory(rd);
        t->items = larger;
    }
    const char *copy = text ? pn_arena_str(t->strings, *text) : NULL;
    if (text && !copy)
        return no_memory(rd);
    t->items[t->n_items++] = copy;
    t->entries[t->n_entries - 1].n++;
    return 0;
}

static void end_value(struct reading *rd)
{
    rd->key_len = rd->depth > 0 ? rd->parents[rd->depth - 1] : 0;
    rd->want_value = false;
}

static int take_key(struct reading *rd, const struct pn_yaml_event *e)
{
    size_t dot = rd->key_len > 0 ? 1 : 0;
    if (e->text.len == 0)
        return refuse(rd, e, "a key without a name");
    if (rd->key_len + dot + e->text.len >= sizeof(rd->key))
        return refuse(rd, e, "the key is too long");
    if (dot)
        rd->key[rd->key_len] = '.';
    memcpy(rd->key + rd->key_len + dot, e->text.ptr, e->text.len);
    rd->key_len += dot + e->text.len;
    rd->want_value = true;
    return 0;
}

static int on_scalar(struct reading *rd, const struct pn_yaml_event *e)
{
    if (e->text.len && memchr(e->text.ptr, 0, e->text.len))
        return refuse(rd, e, "a zero byte inside a text");
    if (rd->in_list)
        return add_item(rd, &e->text);
    if (rd->depth == 0)
        return pn_yaml_is_null(e) ? 0 : refuse(rd, e, "expected 'key: value' lines");
    if (!rd->want_value)
        return take_key(rd, e);
    int r = add_entry(rd, e, pn_yaml_is_null(e) ? ENTRY_NULL : ENTRY_SCALAR);
    end_value(rd);
    return r;
}

static int on_map(struct reading *rd, const struct pn_yaml_event *e)
{
    if (rd->depth > 0 && !rd->want_value)
        return refuse(rd, e, "a map cannot be a key");
    int r = rd->depth > 0 ? add_entry(rd, e, ENTRY_MAP) : 0;
    rd->parents[rd->depth++] = rd->key_len;
    rd->want_value = false;
    return r;
}

static int on_list(struct reading *rd, const struct pn_yaml_event *e)
{
    if (rd->depth == 0)
        return refuse(rd, e, "expected 'key: value' lines");
    if (!rd->want_value)
        return refuse(rd, e, "a list cannot be a key");
    rd->in_list = true;
    return add_entry(rd, e, ENTRY_LIST);
}

/* The outermost map or list inside a list is an item without text; what it holds is passed over. */
static int on_inner(struct reading *rd, const struct pn_yaml_event *e)
{
    switch (e->kind) {
    case PN_YAML_MAP:
    case PN_YAML_LIST:
        return rd->passed_over++ == 0 ? add_item(rd, NULL) : 0;
    case PN_YAML_MAP_END:
    case PN_YAML_LIST_END:
        rd->passed_over--;
        return 0;
    case PN_YAML_SCALAR:
        return 0;
    }
    PN_UNREACHABLE();
}

static bool opens(const struct pn_yaml_event *e)
{
    return e->kind == PN_YAML_MAP || e->kind == PN_YAML_LIST;
}

static int on_event(void *ctx, const struct pn_yaml_event *e, struct pn_err *err)
{
    struct reading *rd = ctx;
    if (opens(e) && rd->depth + rd->in_list + rd->passed_over == DEPTH_MAX)
        return refuse(rd, e, "nested too deeply");
    if (rd->passed_over > 0 || (rd->in_list && opens(e)))
        return on_inner(rd, e);
    switch (e->kind) {
    case PN_YAML_SCALAR:
        return on_scalar(rd, e);
    case PN_YAML_MAP:
        return on_map(rd, e);
    case PN_YAML_MAP_END:
        rd->depth--;
        end_value(rd);
        return 0;
    case PN_YAML_LIST:
        return on_list(rd, e);
    case PN_YAML_LIST_END:
        rd->in_list = false;
        end_value(rd);
        return 0;
    }
    PN_UNREACHABLE();
}

/* ---- the finished tree ---- */

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static int sort(struct pn_config_tree *t, struct pn_err *err)
{
    if (t->n_entries > 0)
        qsort(t->entries, t->n_entries, sizeof(*t->entries), compare_entries);
    for (size_t i = 1; i < t->n_entries; i++)
        if (strcmp(t->entries[i - 1].key, t->entries[i].key) == 0)
            return pn_fail(err, PN_EFORMAT, "%.100s:%d: the key '%.80s' is there twice", t->path,
                           PN_MAX(t->entries[i - 1].line, t->entries[i].line), t->entries[i].key);
    return 0;
}

static int read_tree(struct pn_config_tree *t, struct pn_str text, struct pn_err *err)
{
    struct reading *rd = calloc(1, sizeof(*rd));
    if (!rd)
        return pn_fail(err, PN_ENOMEM, "no memory to read %.150s", t->path);
    rd->tree = t;
    rd->err = err;
    int r = pn_yaml_events(text, t->path, on_event, rd, err);
    free(rd);
    return r < 0 ? r : sort(t, err);
}

int pn_config_tree_parse(struct pn_str text, const char *path, struct pn_config_tree **ret,
                         struct pn_err *err)
{
    if (text.len > FILE_MAX)
        return pn_fail(err, PN_ELIMIT, "%.150s is larger than %d MB", path, FILE_MAX >> 20);
    struct pn_config_tree *t = calloc(1, sizeof(*t));
    if (!t || pn_arena_new(ARENA_MAX, &t->strings) < 0 ||
        !(t->path = pn_arena_str(t->strings, pn_str(path)))) {
        pn_config_tree_free(t);
        return pn_fail(err, PN_ENOMEM, "no memory to read %.150s", path);
    }
    int r = read_tree(t, text, err);
    if (r < 0)
        pn_config_tree_free(t);
    else
        *ret = t;
    return r;
}

struct pn_config_tree *pn_config_tree_free(struct pn_config_tree *t)
{
    if (!t)
        return NULL;
    pn_arena_free(t->strings);
    free(t->entries);
    free(t->items);
    free(t);
    return NULL;
}

/* ---- questions ---- */

/* What is null is not there. */
static const struct entry *find(const struct pn_config_tree *t, const char *key)
{
    const struct entry want = { .key = key };
    const struct entry *e =
        t->n_entries ? bsearch(&want, t->entries, t->n_entries, sizeof(*e), compare_entries) : NULL;
    return e && e->kind != ENTRY_NULL ? e : NULL;
}

static int bad_value(const struct pn_config_tree *t, const struct entry *e, const char *wanted,
                     struct pn_err *err)
{
    return pn_fail(err, PN_EFORMAT, "%.80s:%d: %.64s is '%.32s': it must be %s", t->path, e->line, e->key,
                   e->text                 ? e->text
                   : e->kind == ENTRY_LIST ? "a list"
                                           : "a map",
                   wanted);
}

int pn_config_tree_int(const struct pn_config_tree *t, const char *key, int64_t min, int64_t max,
                       int64_t fallback, int64_t *ret, struct pn_err *err)
{
    const struct entry *e = find(t, key);
    int64_t v = fallback;
    if (e &&
        (e->kind != ENTRY_SCALAR || !e->plain || pn_parse_i64(pn_str(e->text), INT64_MIN, INT64_MAX, &v) < 0))
        return bad_value(t, e, "a whole number", err);
    if (e && (v < min || v > max))
        return pn_fail(err, PN_EFORMAT,
                       "%.80s:%d: %.64s is %" PRId64 ": it must lie between %" PRId64 " and %" PRId64,
                       t->path, e->line, e->key, v, min, max);
    *ret = v;
    return 0;
}

int pn_config_tree_real(const struct pn_config_tree *t, const char *key, double min, double max,
                        double fallback, double *ret, struct pn_err *err)
{
    const struct entry *e = find(t, key);
    double v = fallback;
    if (e && (e->kind != ENTRY_SCALAR || !e->plain || pn_parse_f64(pn_str(e->text), -1e300, 1e300, &v) < 0))
        return bad_value(t, e, "a number", err);
    if (e && (v < min || v > max))
        return pn_fail(err, PN_EFORMAT, "%.80s:%d: %.64s is %g: it must lie between %g and %g", t->path,
                       e->line, e->key, v, min, max);
    *ret = v;
    return 0;
}

int pn_config_tree_bool(const struct pn_config_tree *t, const char *key, bool fallback, bool *ret,
                        struct pn_err *err)
{
    const struct entry *e = find(t, key);
    bool v = fallback;
    if (e && (e->kind != ENTRY_SCALAR || !e->plain || pn_parse_bool(pn_str(e->text), &v) < 0))
        return bad_value(t, e, "true or false", err);
    *ret = v;
    return 0;
}

const char *pn_config_tree_str(const struct pn_config_tree *t, const char *key, const char *fallback)
{
    const struct entry *e = find(t, key);
    return e && e->kind == ENTRY_SCALAR ? e->text : fallback;
}

size_t pn_config_tree_list(const struct pn_config_tree *t, const char *key)
{
    const struct entry *e = find(t, key);
    return e ? e->n : 0;
}

const char *pn_config_tree_item(const struct pn_config_tree *t, const char *key, size_t i)
{
    const struct entry *e = find(t, key);
    return e && i < e->n ? t->items[e->first + i] : NULL;
}
