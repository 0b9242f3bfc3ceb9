/* model_ref.c - see model_ref.h. */
#include "model/model_ref.h"

#include "base/error.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* OWNER/NAME, each a plain name. */
static bool is_repository(const char *text)
{
    const char *slash = strchr(text, '/');
    char owner[PN_MODEL_NAME_MAX + 1];
    return slash && pn_model_name_ok(slash + 1) &&
           pn_str_copy(owner, sizeof(owner), (struct pn_str){ text, (size_t)(slash - text) }) == 0 &&
           pn_model_name_ok(owner);
}

/* What is before the '@' goes to `base`, what is behind it is the revision. */
static int split(const char *text, char base[2 * PN_MODEL_NAME_MAX + 2], struct pn_model_ref *ref)
{
    const char *at = strchr(text, '@');
    size_t n = at ? (size_t)(at - text) : strlen(text);
    if (pn_str_copy(base, 2 * PN_MODEL_NAME_MAX + 2, (struct pn_str){ text, n }) < 0)
        return -PN_EINVAL;
    if (!at)
        return 0;
    if (!pn_model_name_ok(at + 1) || strchr(at + 1, '@'))
        return -PN_EINVAL;
    return pn_str_copy(ref->revision, sizeof(ref->revision), pn_str(at + 1)) < 0 ? -PN_EINVAL : 0;
}

static int choose_name(struct pn_model_ref *ref, const char *base)
{
    const char *slash = strchr(base, '/'), *at = ref->revision[0] ? "@" : "";
    int n;
    if (ref->e || !slash)
        n = snprintf(ref->name, sizeof(ref->name), "%s%s%s", ref->e ? ref->e->name : base, at, ref->revision);
    else
        n = snprintf(ref->name, sizeof(ref->name), "%.*s--%s%s%s", (int)(slash - base), base, slash + 1, at,
                     ref->revision);
    return n < 0 || (size_t)n >= sizeof(ref->name) ? -PN_EINVAL : 0;
}

int pn_model_ref_parse(const char *text, struct pn_model_ref *ret)
{
    struct pn_model_ref ref = { 0 };
    int r = split(text, ref.repository, &ref);
    if (r < 0)
        return r;
    bool repository = is_repository(ref.repository);
    if (!repository && !pn_model_name_ok(ref.repository))
        return -PN_EINVAL;
    ref.e = repository ? pn_catalogue_find_repository(ref.repository) : pn_catalogue_find(ref.repository);
    r = choose_name(&ref, ref.repository);
    if (r < 0)
        return r;
    if (!repository)
        ref.repository[0] = '\0';
    *ret = ref;
    return 0;
}
