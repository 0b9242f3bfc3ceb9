/* heads.c - alignment heads: a table for the official models, a folder's generation_config.json, or the upper
 * half of the decoder. */
#include "asr/whisper/heads.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct head {
    uint8_t layer, head;
};

/* Decoded from the reference's packed table. */
static const struct official {
    const char *name;
    int n_layer, n_head, n;
    struct head heads[24];
} OFFICIAL[] = {
    { "tiny.en",
      4,
      6,
      8,
      { { 1, 0 }, { 2, 0 }, { 2, 5 }, { 3, 0 }, { 3, 1 }, { 3, 2 }, { 3, 3 }, { 3, 4 } } },
    { "tiny", 4, 6, 6, { { 2, 2 }, { 3, 0 }, { 3, 2 }, { 3, 3 }, { 3, 4 }, { 3, 5 } } },
    { "base.en", 6, 8, 5, { { 3, 3 }, { 4, 7 }, { 5, 1 }, { 5, 5 }, { 5, 7 } } },
    { "base", 6, 8, 8, { { 3, 1 }, { 4, 2 }, { 4, 3 }, { 4, 7 }, { 5, 1 }, { 5, 2 }, { 5, 4 }, { 5, 6 } } },
    { "small.en",
      12,
      12,
      19,
      { { 6, 6 },
        { 7, 0 },
        { 7, 3 },
        { 7, 8 },
        { 8, 2 },
        { 8, 5 },
        { 8, 7 },
        { 9, 0 },
        { 9, 4 },
        { 9, 8 },
        { 9, 10 },
        { 10, 0 },
        { 10, 1 },
        { 10, 2 },
        { 10, 3 },
        { 10, 6 },
        { 10, 11 },
        { 11, 2 },
        { 11, 4 } } },
    { "small",
      12,
      12,
      10,
      { { 5, 3 },
        { 5, 9 },
        { 8, 0 },
        { 8, 4 },
        { 8, 7 },
        { 8, 8 },
        { 9, 0 },
        { 9, 7 },
        { 9, 9 },
        { 10, 5 } } },
    { "medium.en",
      24,
      16,
      18,
      { { 11, 4 },
        { 14, 1 },
        { 14, 12 },
        { 14, 14 },
        { 15, 4 },
        { 16, 0 },
        { 16, 4 },
        { 16, 9 },
        { 17, 12 },
        { 17, 14 },
        { 18, 7 },
        { 18, 10 },
        { 18, 15 },
        { 20, 0 },
        { 20, 3 },
        { 20, 9 },
        { 20, 14 },
        { 21, 12 } } },
    { "medium", 24, 16, 6, { { 13, 15 }, { 15, 4 }, { 15, 15 }, { 16, 1 }, { 20, 0 }, { 23, 4 } } },
    { "large-v1",
      32,
      20,
      9,
      { { 9, 19 },
        { 11, 2 },
        { 11, 4 },
        { 11, 17 },
        { 22, 7 },
        { 22, 11 },
        { 22, 17 },
        { 23, 2 },
        { 23, 15 } } },
    { "large-v2", 32, 20, 23, { { 10, 12 }, { 13, 17 }, { 16, 11 }, { 16, 12 }, { 16, 13 }, { 17, 15 },
                                { 17, 16 }, { 18, 4 },  { 18, 11 }, { 18, 19 }, { 19, 11 }, { 21, 2 },
                                { 21, 3 },  { 22, 3 },  { 22, 9 },  { 22, 12 }, { 23, 5 },  { 23, 7 },
                                { 23, 13 }, { 25, 5 },  { 26, 1 },  { 26, 12 }, { 27, 15 } } },
    { "large-v3",
      32,
      20,
      10,
      { { 7, 0 },
        { 10, 17 },
        { 12, 18 },
        { 13, 12 },
        { 16, 1 },
        { 17, 14 },
        { 19, 11 },
        { 21, 4 },
        { 24, 1 },
        { 25, 6 } } },
    { "large-v3-turbo", 4, 20, 6, { { 2, 4 }, { 2, 11 }, { 3, 3 }, { 3, 6 }, { 3, 11 }, { 3, 14 } } },
};

static const struct {
    const char *alias, *name;
} ALIASES[] = { { "large", "large-v3" }, { "turbo", "large-v3-turbo" } };

static const struct official *official(const char *name, const struct pn_whisper_dims *d)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(ALIASES); i++) {
        if (strcmp(name, ALIASES[i].alias) == 0)
            name = ALIASES[i].name;
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(OFFICIAL); i++) {
        const struct official *o = &OFFICIAL[i];
        if (strcmp(name, o->name) == 0 && o->n_layer == d->n_text_layer && o->n_head == d->n_text_head)
            return o;
    }
    return NULL;
}

/* One [layer, head] of the JSON list, or -1. */
static int json_head(const json_t *pair, const struct pn_whisper_dims *d)
{
    json_int_t layer = json_integer_value(json_array_get(pair, 0));
    json_int_t head = json_integer_value(json_array_get(pair, 1));
    bool fine = json_array_size(pair) == 2 && json_is_integer(json_array_get(pair, 0)) &&
                json_is_integer(json_array_get(pair, 1)) && layer >= 0 && layer < d->n_text_layer &&
                head >= 0 && head < d->n_text_head;
    return fine ? (int)layer * d->n_text_head + (int)head : -1;
}

/* Marks the heads of generation_config.json; their number, 0 when there are none or one makes no sense. */
static int mark_config(const struct pn_checkpoint *c, const struct pn_whisper_dims *d, bool *on)
{
    struct pn_str text = pn_checkpoint_file(c, "generation_config.json");
    json_t *root = text.len ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    const json_t *list = json_object_get(root, "alignment_heads");
    int n = 0;
    for (size_t i = 0; i < json_array_size(list) && n >= 0; i++) {
        int at = json_head(json_array_get(list, i), d);
        if (at < 0) {
            n = -1;
        } else if (!on[at]) {
            on[at] = true;
            n++;
        }
    }
    json_decref(root);
    return PN_MAX(n, 0);
}

static int mark_upper_half(const struct pn_whisper_dims *d, bool *on)
{
    int from = d->n_text_layer / 2 * d->n_text_head, to = d->n_text_layer * d->n_text_head;
    memset(on, 0, (size_t)from * sizeof(*on));
    for (int i = from; i < to; i++)
        on[i] = true;
    return to - from;
}

int pn_whisper_heads(const char *name, const struct pn_whisper_dims *d, const struct pn_checkpoint *c,
                     int **ret, int *ret_n)
{
    int total = d->n_text_layer * d->n_text_head, n = 0;
    bool *on = calloc((size_t)total, sizeof(*on));
    int *list = calloc((size_t)total, sizeof(*list));
    if (!on || !list) {
        free(on);
        free(list);
        return -PN_ENOMEM;
    }
    const struct official *o = official(name, d);
    for (; o && n < o->n; n++)
        on[o->heads[n].layer * d->n_text_head + o->heads[n].head] = true;
    if (n == 0)
        n = mark_config(c, d, on);
    if (n == 0)
        n = mark_upper_half(d, on);
    for (int i = 0, at = 0; i < total; i++) {
        if (on[i])
            list[at++] = i;
    }
    free(on);
    *ret = list;
    *ret_n = n;
    return 0;
}
