/* option_help.c - see option.h. The words for people: --help lines and guesses at misspelt names. */
#include "base/option.h"

#include "base/option_impl.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS      100
#define HELP_COLUMN  34 /* where the sentences begin */
#define LONGEST_NAME 64 /* longer names get no suggestion */

/* Edits (insert, delete, replace, swap neighbours) from `a` to `b`; both at most LONGEST_NAME bytes. */
static unsigned edit_distance(struct pn_str a, struct pn_str b)
{
    unsigned rows[3][LONGEST_NAME + 1]; /* for the prefixes of `a` of length i-2, i-1, i */
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t k = 0; k <= b.len; k++)
        now[k] = (unsigned)k;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
        now[0] = (unsigned)i;
        for (size_t k = 1; k <= b.len; k++) {
            unsigned replace = last[k - 1] + (a.ptr[i - 1] != b.ptr[k - 1]);
            now[k] = PN_MIN(replace, PN_MIN(last[k], now[k - 1]) + 1);
            if (i > 1 && k > 1 && a.ptr[i - 1] == b.ptr[k - 2] && a.ptr[i - 2] == b.ptr[k - 1])
                now[k] = PN_MIN(now[k], before[k - 2] + 1);
        }
    }
    return now[b.len];
}

struct guess {
    struct pn_str best;
    unsigned cost;
};

/* `shown` is a candidate because `compared` resembles `unknown`: a third of the letters may be wrong, but at
 * least one. */
static void consider(struct guess *g, struct pn_str unknown, struct pn_str compared, struct pn_str shown,
                     unsigned penalty)
{
    if (unknown.len == 0 || unknown.len > LONGEST_NAME || compared.len == 0 || compared.len > LONGEST_NAME)
        return;
    unsigned d = edit_distance(unknown, compared);
    if (d <= PN_MAX((unsigned)unknown.len / 3, 1) && d + penalty < g->cost)
        *g = (struct guess){ shown, d + penalty };
}

/* "port" of "server.port" */
static struct pn_str last_part(struct pn_str key)
{
    const char *dot = key.len > 0 ? memrchr(key.ptr, '.', key.len) : NULL;
    return dot ? (struct pn_str){ dot + 1, (size_t)(key.ptr + key.len - dot - 1) } : key;
}

static void consider_option(struct guess *g, const struct pn_opt *o, enum pn_opt_name kind,
                            struct pn_str unknown)
{
    const char *list = o->env;
    struct pn_str word, key = pn_str(o->key), flag = pn_str(o->flag);
    switch (kind) {
    case PN_NAME_KEY:
        consider(g, unknown, key, key, 0);
        consider(g, last_part(unknown), last_part(key), key, 1); /* the right word in the wrong group */
        return;
    case PN_NAME_ENV:
        while ((word = pn_opt_next_word(&list)).ptr)
            consider(g, unknown, word, word, 0);
        return;
    case PN_NAME_FLAG:
        consider(g, unknown, flag, flag, 0);
        return;
    }
    PN_UNREACHABLE();
}

void pn_opt_suggest(const struct pn_opt_table *t, enum pn_opt_name kind, struct pn_str unknown, char out[96])
{
    struct guess g = { .cost = UINT_MAX };
    for (size_t i = 0; i < t->n; i++)
        consider_option(&g, &t->opts[i], kind, unknown);
    out[0] = 0;
    if (g.best.len > 0)
        snprintf(out, 96, "; did you mean '%s%.*s'?", kind == PN_NAME_FLAG ? "--" : "", (int)g.best.len,
                 g.best.ptr);
}

/* "  -p, --port PORT", "      --[no-]x", or the environment name when there is no flag. */
static void put_names(struct pn_buf *out, const struct pn_opt *o)
{
    if (o->letter)
        pn_buf_printf(out, "  -%c%s", o->letter, o->flag ? ", " : "  ");
    else
        pn_buf_puts(out, "      ");
    /* A switch that is off by default needs no way to say so. */
    bool negatable = o->type == PN_OPT_BOOL && o->fallback && strcmp(o->fallback, "true") == 0;
    if (o->flag)
        pn_buf_printf(out, "--%s%s", negatable ? "[no-]" : "", o->flag);
    else if (o->env)
        pn_buf_puts(out, o->env);
    if (o->flag && o->type != PN_OPT_BOOL)
        pn_buf_printf(out, " %s", o->arg ? o->arg : "VALUE");
}

static void put_sentence(struct pn_buf *out, const struct pn_opt *o)
{
    pn_buf_puts(out, o->help);
    if (o->type == PN_OPT_CHOICE) {
        char choices[128];
        pn_opt_choices_text(o, choices);
        pn_buf_printf(out, ": %s", choices);
    }
    if (o->type != PN_OPT_BOOL && o->fallback && o->fallback[0])
        pn_buf_printf(out, " [%s]", o->fallback);
    if (o->no_effect)
        pn_buf_puts(out, " (no effect in this version)");
}

/* Appends `text` broken at spaces so that no line passes COLUMNS; `column` is where the line is now. */
static void put_wrapped(struct pn_buf *out, const char *text, size_t column)
{
    size_t at = column;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > HELP_COLUMN && at + 1 + word > COLUMNS) {
            pn_buf_printf(out, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        } else if (at > HELP_COLUMN) {
            pn_buf_putc(out, ' ');
            at++;
        }
        pn_buf_append(out, text, word);
        at += word;
        text += word + strspn(text + word, " ");
    }
    pn_buf_putc(out, '\n');
}

static void put_option(const struct pn_opt *o, struct pn_buf *out)
{
    size_t start = out->len;
    put_names(out, o);
    size_t used = out->len - start;
    if (used + 2 > HELP_COLUMN)
        pn_buf_printf(out, "\n%*s", HELP_COLUMN, "");
    else
        pn_buf_printf(out, "%*s", (int)(HELP_COLUMN - used), "");
    struct pn_buf sentence;
    pn_buf_init(&sentence, 1024);
    put_sentence(&sentence, o);
    put_wrapped(out, sentence.ptr ? sentence.ptr : "", HELP_COLUMN);
    pn_buf_done(&sentence);
}

void pn_opt_help(const struct pn_opt_table *t, bool all, struct pn_buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        bool shown = all || (t->opts[i].flag && !t->opts[i].advanced && !t->opts[i].no_effect);
        if (shown)
            put_option(&t->opts[i], out);
    }
}
