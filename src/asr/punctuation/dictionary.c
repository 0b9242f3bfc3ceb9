/* dictionary.c - see dictionary.h. */
#include "asr/punctuation/dictionary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float MOST = -1; /* stands for the highest frequency, which is not known yet */

struct reading {
    const struct pn_mark_vocabulary *v;
    float *frequency; /* by id: 0 for none, MOST */
    size_t n_words;
    double total, most; /* of all words of the dictionary, known or not */
};

static struct pn_str next_line(struct pn_str *text)
{
    const char *end = memchr(text->ptr, '\n', text->len);
    size_t len = end ? (size_t)(end - text->ptr) : text->len, used = len + (end != NULL);
    struct pn_str line = { text->ptr, len };
    *text = (struct pn_str){ text->ptr + used, text->len - used };
    return pn_str_trim(line);
}

static struct pn_str next_field(struct pn_str *line)
{
    size_t len = 0;
    while (len < line->len && line->ptr[len] != ' ' && line->ptr[len] != '\t')
        len++;
    struct pn_str field = { line->ptr, len };
    *line = pn_str_trim((struct pn_str){ line->ptr + len, line->len - len });
    return field;
}

static void take_line(struct reading *r, struct pn_str line)
{
    struct pn_str word = next_field(&line), number = next_field(&line);
    double frequency;
    bool counted = pn_parse_f64(number, 1, 1e12, &frequency) == 0;
    if (counted) {
        r->total += frequency;
        r->most = fmax(r->most, frequency);
    }
    int64_t id = r->v->id(r->v->ctx, word);
    if (id >= 0 && (uint64_t)id < r->n_words && id != r->v->unknown)
        r->frequency[id] = counted ? (float)frequency : MOST;
}

/* ln of the share of all words, in place. */
static float to_log_p(struct reading *r)
{
    double most = fmax(r->most, 1), log_total = log(fmax(r->total, most));
    for (size_t i = 0; i < r->n_words; i++) {
        double f = r->frequency[i] < 0 ? most : (double)r->frequency[i];
        r->frequency[i] = f > 0 ? (float)fmin(log(f) - log_total, 0) : 1;
    }
    return (float)fmin(-log_total, -1);
}

int pn_mark_dictionary_parse(const struct pn_str *texts, size_t n_texts, const struct pn_mark_vocabulary *v,
                             size_t n_words, struct pn_mark_dictionary *ret)
{
    struct reading r = { .v = v, .n_words = n_words };
    for (size_t i = 0; i < n_texts; i++)
        if (texts[i].len > PN_MARK_DICTIONARY_MAX)
            return -PN_ELIMIT;
    r.frequency = calloc(n_words + 1, sizeof(*r.frequency));
    if (!r.frequency)
        return -PN_ENOMEM;
    for (size_t i = 0; i < n_texts; i++) {
        struct pn_str text = texts[i];
        while (text.len > 0) {
            struct pn_str line = next_line(&text);
            if (line.len > 0)
                take_line(&r, line);
        }
    }
    float least = to_log_p(&r);
    *ret = (struct pn_mark_dictionary){ r.frequency, least };
    return 0;
}

void pn_mark_dictionary_done(struct pn_mark_dictionary *d)
{
    free(d->log_p);
    *d = (struct pn_mark_dictionary){ 0 };
}
