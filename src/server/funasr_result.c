/* funasr_result.c - see funasr_result.h. */
#include "server/funasr_result.h"

#include "base/json.h"
#include "server/funasr_stamps.h"

#include <math.h>

#define STAMPS_MAX ((size_t)256 << 20)

struct stamps {
    const struct pn_stamp *at;
    size_t n;
};

/* ---- times ------------------------------------------------------------------------------------------- */

/* "[[start,end],...]", as a text: that is what readers parse. The last pair again, where the browser page
 * would look for more. */
static void put_timestamp(struct pn_json *j, struct stamps s, size_t wanted)
{
    struct pn_buf list;
    pn_buf_init(&list, STAMPS_MAX);
    pn_buf_putc(&list, '[');
    for (size_t i = 0; i < PN_MAX(s.n, wanted); i++) {
        const struct pn_stamp *at = &s.at[PN_MIN(i, s.n - 1)];
        pn_buf_printf(&list, "%s[%lld,%lld]", i ? "," : "", (long long)at->start_ms, (long long)at->end_ms);
    }
    pn_buf_putc(&list, ']');
    if (list.failed == 0) {
        pn_json_put_str(j, "timestamp", (struct pn_str){ list.ptr, list.len });
    }
    pn_buf_done(&list);
}

/* Stamps from `from` on that are one word. */
static size_t word_length(struct stamps s, size_t from)
{
    size_t n = 1;
    while (from + n < s.n && s.at[from + n].joined)
        n++;
    return n;
}

/* Stamps from `from` on up to the next mark. */
static size_t phrase_length(struct stamps s, size_t from)
{
    size_t n = 1;
    while (from + n < s.n && s.at[from + n - 1].marks.len == 0)
        n++;
    return n;
}

static void put_phrase_text(struct pn_json *j, struct stamps s)
{
    struct pn_buf text;
    pn_buf_init(&text, STAMPS_MAX);
    for (size_t i = 0, n; i < s.n; i += n) {
        n = word_length(s, i);
        const char *start = s.at[i].text.ptr, *end = s.at[i + n - 1].text.ptr + s.at[i + n - 1].text.len;
        if (i)
            pn_buf_putc(&text, ' ');
        pn_buf_append(&text, start, (size_t)(end - start));
    }
    pn_json_put_str(j, "text_seg", (struct pn_str){ text.ptr, text.len });
    pn_buf_done(&text);
}

static void put_phrase(struct pn_json *j, struct stamps s)
{
    pn_json_begin_object(j);
    put_phrase_text(j, s);
    pn_json_put_str(j, "punc", s.at[s.n - 1].marks);
    pn_json_put_i64(j, "start", s.at[0].start_ms);
    pn_json_put_i64(j, "end", s.at[s.n - 1].end_ms);
    pn_json_key(j, "ts_list");
    pn_json_begin_array(j);
    for (size_t i = 0, n; i < s.n; i += n) {
        n = word_length(s, i);
        pn_json_begin_array(j);
        pn_json_i64(j, s.at[i].start_ms);
        pn_json_i64(j, s.at[i + n - 1].end_ms);
        pn_json_end_array(j);
    }
    pn_json_end_array(j);
    pn_json_end_object(j);
}

static void put_stamp_sents(struct pn_json *j, struct stamps s)
{
    pn_json_key(j, "stamp_sents");
    pn_json_begin_array(j);
    for (size_t i = 0, n; i < s.n; i += n) {
        n = phrase_length(s, i);
        put_phrase(j, (struct stamps){ s.at + i, n });
    }
    pn_json_end_array(j);
}

/* Times that cannot be had are left out, as those of a model without. */
static void put_times(struct pn_json *j, const struct pn_funasr_answer *a)
{
    struct pn_arena *arena = NULL;
    struct stamps s = { 0 };
    if (a->n_segments == 0 || pn_arena_new(STAMPS_MAX, &arena) < 0)
        return;
    if (pn_funasr_stamps(a->segments, a->n_segments, arena, &s.at, &s.n) == 0 && s.n > 0) {
        put_timestamp(j, s, pn_funasr_stamps_wanted(a->text));
        put_stamp_sents(j, s);
    }
    pn_arena_free(arena);
}

/* ---- answers ----------------------------------------------------------------------------------------- */

static void put_slice(struct pn_json *j, const struct pn_funasr_answer *a)
{
    if (a->slice == PN_FUNASR_NO_SLICE)
        return;
    pn_json_put_i64(j, "slice_type", a->slice);
    pn_json_put_i64(j, "index", a->index);
    if (a->slice == PN_FUNASR_ENDED) {
        pn_json_put_i64(j, "start_time", llround(a->start * 1000));
        pn_json_put_i64(j, "end_time", llround(a->end * 1000));
    }
}

void pn_funasr_answer_write(const struct pn_funasr_answer *a, struct pn_buf *out)
{
    struct pn_json j;
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    pn_json_put_cstr(&j, "mode", a->mode);
    pn_json_key(&j, "text");
    pn_json_str(&j, a->text);
    pn_json_put_cstr(&j, "wav_name", a->wav_name);
    pn_json_put_bool(&j, "is_final", a->is_final);
    put_slice(&j, a);
    put_times(&j, a);
    if (a->error)
        pn_json_put_cstr(&j, "error", a->error);
    pn_json_end_object(&j);
}

void pn_funasr_acknowledge(const char *mode, const char *wav_name, const char *error, struct pn_buf *out)
{
    struct pn_json j;
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    pn_json_put_cstr(&j, "mode", mode);
    pn_json_put_cstr(&j, "wav_name", wav_name);
    pn_json_put_bool(&j, "is_final", error == NULL);
    pn_json_put_bool(&j, "is_end", true);
    if (error)
        pn_json_put_cstr(&j, "error", error);
    pn_json_end_object(&j);
}
