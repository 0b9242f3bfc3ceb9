/* hotwords.c - see hotwords.h: reading the request's text. */
#include "asr/paraformer/hotwords.h"

#include "base/json_parse.h"
#include "text/utf8.h"

struct list {
    struct pn_arena *arena;
    struct pn_hotword *word; /* [PN_HOTWORDS_MAX] */
    size_t n;
};

static int add_word(struct list *l, struct pn_str text, double weight, struct pn_err *err)
{
    text = pn_utf8_strip(text);
    if (text.len == 0 || !(weight > 0))
        return 0;
    if (text.len > PN_HOTWORD_BYTES_MAX)
        return pn_fail(err, PN_ELIMIT, "a hot word is longer than %d bytes", (int)PN_HOTWORD_BYTES_MAX);
    if (l->n == PN_HOTWORDS_MAX)
        return pn_fail(err, PN_ELIMIT, "more than %d hot words", (int)PN_HOTWORDS_MAX);
    char *copy = pn_arena_str(l->arena, text);
    if (!copy)
        return pn_fail(err, PN_ENOMEM, "no memory for hot words");
    l->word[l->n++] = (struct pn_hotword){ { copy, text.len }, weight };
    return 0;
}

static int add_object(struct list *l, json_t *object, struct pn_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        double weight = json_is_number(value) ? json_number_value(value) : 1;
        int r = add_word(l, pn_str(key), weight, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Bytes of the separator that `s` begins with; 0 when it begins with something else. */
static size_t separator(struct pn_str s)
{
    uint32_t cp;
    size_t n = pn_utf8_next(s, &cp);
    bool comma =
        cp == ',' || cp == ';' || cp == 0xff0c /* ， */ || cp == 0x3001 /* 、 */ || cp == 0xff1b /* ； */;
    return n > 0 && (comma || pn_utf8_is_space(cp)) ? n : 0;
}

/* Up to the next separator. */
static struct pn_str next_word(struct pn_str *s)
{
    struct pn_str word = { s->ptr, 0 };
    while (s->len > 0) {
        size_t n = separator(*s), len = PN_MAX(pn_utf8_next(*s, NULL), 1);
        *s = (struct pn_str){ s->ptr + (n ? n : len), s->len - (n ? n : len) };
        if (n > 0)
            break;
        word.len += len;
    }
    return word;
}

/* Cuts ":WEIGHT" off the end of `word`. */
static double take_weight(struct pn_str *word)
{
    double weight = 1;
    size_t colon = word->len;
    while (colon > 0 && word->ptr[colon - 1] != ':')
        colon--;
    struct pn_str number = { word->ptr + colon, word->len - colon };
    if (colon > 0 && pn_parse_f64(number, -1e9, 1e9, &weight) == 0)
        word->len = colon - 1;
    return weight;
}

static int add_list(struct list *l, struct pn_str text, struct pn_err *err)
{
    while (text.len > 0) {
        struct pn_str word = next_word(&text);
        double weight = take_weight(&word);
        int r = add_word(l, word, weight, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_text(struct list *l, struct pn_str text, struct pn_err *err)
{
    json_t *object = NULL;
    int r = -PN_EFORMAT;
    if (text.len > 0 && text.ptr[0] == '{')
        r = pn_json_object(text, PN_JSON_FILE, "hot words", 0, &object, NULL);
    if (r == -PN_ENOMEM)
        return pn_fail(err, PN_ENOMEM, "no memory for hot words");
    if (r < 0)
        return add_list(l, text, err);
    r = add_object(l, object, err);
    json_decref(object);
    return r;
}

int pn_hotwords_parse(struct pn_str text, struct pn_arena *a, struct pn_hotwords *ret, struct pn_err *err)
{
    text = pn_utf8_strip(text);
    if (text.len > PN_HOTWORDS_TEXT_MAX)
        return pn_fail(err, PN_ELIMIT, "hot words longer than %d bytes", (int)PN_HOTWORDS_TEXT_MAX);
    if (text.len == 0) {
        *ret = (struct pn_hotwords){ 0 };
        return 0;
    }
    struct list l = { .arena = a, .word = pn_arena_alloc(a, PN_HOTWORDS_MAX * sizeof(*l.word)) };
    int r = l.word ? add_text(&l, text, err) : pn_fail(err, PN_ENOMEM, "no memory for hot words");
    if (r == 0)
        *ret = (struct pn_hotwords){ l.word, l.n };
    return r;
}
