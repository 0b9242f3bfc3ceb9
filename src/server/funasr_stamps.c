/* funasr_stamps.c - see funasr_stamps.h. */
#include "server/funasr_stamps.h"

#include "text/spoken.h"

#include <math.h>
#include <string.h>

enum { WINDOW = 32 /* words that number writing may change at one place */ };

/* ---- units: what gets a stamp ------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'' || c == '-' || (c & 0x80);
}

/* Cuts the next unit off a word: a run of letters, or one other character; empty for a mark inside it. */
static struct pn_str next_unit(struct pn_str *rest)
{
    size_t n = 0;
    while (n < rest->len && is_letter(rest->ptr[n]))
        n++;
    bool mark = n == 0 && memchr("!\"(),.:;?[]{}", rest->ptr[0], 13);
    size_t taken = PN_MAX(n, 1);
    struct pn_str unit = { rest->ptr, mark ? 0 : taken };
    *rest = (struct pn_str){ rest->ptr + taken, rest->len - taken };
    return unit;
}

/* The units of `text`, without times; `out` NULL: they are only counted. */
static size_t split(struct pn_str text, struct pn_stamp *out)
{
    size_t n = 0;
    while (text.len) {
        struct pn_str word = pn_spoken_next(&text), core = pn_spoken_core(word);
        const char *end = core.ptr + core.len;
        size_t before = n;
        for (struct pn_str rest = core; rest.len;) {
            struct pn_str unit = next_unit(&rest);
            if (out && unit.len)
                out[n] = (struct pn_stamp){ .text = unit, .joined = n > before };
            n += unit.len > 0;
        }
        if (out && n > before)
            out[n - 1].marks = (struct pn_str){ end, (size_t)(word.ptr + word.len - end) };
    }
    return n;
}

/* Shares the time between two moments out among n units. */
static void share(struct pn_stamp *units, size_t n, int64_t start_ms, int64_t end_ms)
{
    int64_t length = PN_MAX(end_ms - start_ms, 0);
    for (size_t i = 0; i < n; i++) {
        units[i].start_ms = start_ms + length * (int64_t)i / (int64_t)n;
        units[i].end_ms = start_ms + length * (int64_t)(i + 1) / (int64_t)n;
    }
}

static int64_t to_ms(double seconds)
{
    return isfinite(seconds) ? llround(PN_MIN(PN_MAX(seconds, 0.0), 1e9) * 1000) : 0;
}

/* What was heard, with times. */
static size_t split_words(const struct pn_segment *s, struct pn_stamp *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_words; i++) {
        const struct pn_word *w = &s->words[i];
        size_t more = split(pn_str(w->text), out ? out + n : NULL);
        if (out)
            share(out + n, more, to_ms(w->start), to_ms(w->end));
        n += more;
    }
    return n;
}

/* ---- side by side ------------------------------------------------------------------------------------ */

struct units {
    struct pn_stamp *at;
    size_t n;
};

static struct units skip(struct units u, size_t n)
{
    return (struct units){ u.at + n, u.n - n };
}

static bool meet(struct units a, struct units b)
{
    if (a.n == 0 || b.n == 0)
        return a.n == b.n;
    return pn_str_ieq(a.at->text, b.at->text);
}

/* How many units of each side differ before the sides meet again, with the least difference. */
static void find_meeting(struct units written, struct units heard, size_t *ret_written, size_t *ret_heard)
{
    for (size_t d = 0; d <= 2 * WINDOW; d++)
        for (size_t i = d > WINDOW ? d - WINDOW : 0; i <= PN_MIN(d, WINDOW); i++) {
            size_t k = d - i;
            if (i > written.n || k > heard.n || !meet(skip(written, i), skip(heard, k)))
                continue;
            *ret_written = i;
            *ret_heard = k;
            return;
        }
    *ret_written = written.n;
    *ret_heard = heard.n;
}

/* Gives `written` the times of `heard`; `now` is where the units before ended. */
static void align(struct units written, struct units heard, int64_t now)
{
    while (written.n) {
        size_t w, h;
        find_meeting(written, heard, &w, &h);
        share(written.at, w, h ? heard.at[0].start_ms : now, h ? heard.at[h - 1].end_ms : now);
        if (h)
            now = heard.at[h - 1].end_ms;
        written = skip(written, w);
        heard = skip(heard, h);
        if (written.n == 0 || heard.n == 0)
            continue;
        written.at->start_ms = heard.at->start_ms;
        now = written.at->end_ms = heard.at->end_ms;
        written = skip(written, 1);
        heard = skip(heard, 1);
    }
}

int pn_funasr_stamps(const struct pn_segment *segments, size_t n, struct pn_arena *a,
                     const struct pn_stamp **ret, size_t *ret_n)
{
    size_t total = 0, words = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        total += split(pn_str(segments[i].text), NULL);
        words = PN_MAX(words, split_words(&segments[i], NULL));
    }
    struct pn_stamp *all = pn_arena_alloc(a, (total + 1) * sizeof(*all));
    struct pn_stamp *heard = pn_arena_alloc(a, (words + 1) * sizeof(*heard));
    if (!all || !heard)
        return -PN_ENOMEM;
    for (size_t i = 0; words && i < n; i++) {
        size_t n_heard = split_words(&segments[i], heard);
        size_t n_written = split(pn_str(segments[i].text), all + at);
        align((struct units){ all + at, n_written }, (struct units){ heard, n_heard },
              to_ms(segments[i].start));
        at += n_written;
    }
    *ret = all;
    *ret_n = at;
    return 0;
}

/* ---- the browser page -------------------------------------------------------------------------------- */

static bool page_cuts_at(uint32_t cp)
{
    return cp == 0x3002 /* 。 */ || cp == 0xff1f /* ？ */ || cp == 0xff0c /* ， */ || cp == 0x3001 /* 、 */ ||
           cp == '?' || cp == '.' || cp == ',' || cp == ' ';
}

size_t pn_funasr_stamps_wanted(struct pn_str text)
{
    size_t wanted = 0, index = 0, units = 0;
    bool letters = true;
    while (text.len) {
        uint32_t cp = 0xfffd;
        size_t len = PN_MAX(pn_utf8_next(text, &cp), 1);
        text = (struct pn_str){ text.ptr + len, text.len - len };
        if (page_cuts_at(cp)) {
            index += letters ? units > 0 : units;
            units = 0;
            letters = true;
            continue;
        }
        if (units == 0)
            wanted = index + 1;
        units += cp > 0xffff ? 2 : 1;
        letters &= (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z';
    }
    return wanted;
}
