/* agreement.c - see agreement.h. */
#include "asr/pipeline/agreement.h"

#include "text/spoken.h"

#define TEXT_MAX ((size_t)1 << 20)

void pn_agreement_init(struct pn_agreement *a)
{
    pn_buf_init(&a->last, TEXT_MAX);
    pn_buf_init(&a->stable, TEXT_MAX);
}

void pn_agreement_done(struct pn_agreement *a)
{
    pn_buf_done(&a->last);
    pn_buf_done(&a->stable);
}

/* The beginning of `text` whose words are those of `before`. The marks behind its last word depend on what
 * comes next, so they are left out. */
static struct pn_str agreed(struct pn_str before, struct pn_str text)
{
    struct pn_str rest = text, result = { text.ptr, 0 };
    while (before.len && rest.len) {
        struct pn_str word = pn_spoken_next(&rest), core = pn_spoken_core(word);
        if (core.len == 0 || !pn_spoken_same(pn_spoken_next(&before), word))
            break;
        result.len = (size_t)(core.ptr + core.len - text.ptr);
    }
    return result;
}

int pn_agreement_add(struct pn_agreement *a, struct pn_str text)
{
    pn_spoken_extend(&a->stable, 0, agreed((struct pn_str){ a->last.ptr, a->last.len }, text));
    pn_buf_clear(&a->last);
    pn_buf_str(&a->last, text);
    return a->stable.failed ? a->stable.failed : a->last.failed;
}
