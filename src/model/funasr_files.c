/* funasr_files.c - see funasr_files.h. A file that configuration.json names and that is not there is looked
 * for under its usual name, as the reference does. */
#include "model/funasr_files.h"

#include "base/json_parse.h"
#include "model/mapping.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CONFIGURATION_MAX = 1 << 20, FOLDER_PATH_MAX = 4096 };

static const char CONFIGURATION[] = "configuration.json";

/* A part: where configuration.json names its file, and what it is called otherwise. */
static const struct role {
    const char *group, *key; /* below file_path_metas; group NULL: none */
    size_t to;               /* in struct pn_funasr_files */
    const char *usual[2];
    bool optional;
} ROLES[] = {
    { NULL, "config", offsetof(struct pn_funasr_files, config), { "config.yaml" }, false },
    { NULL, "init_param", offsetof(struct pn_funasr_files, weights), { "model.pt" }, false },
    { "tokenizer_conf",
      "token_list",
      offsetof(struct pn_funasr_files, tokens),
      { "tokens.json", "tokens.txt" },
      true },
    { "tokenizer_conf", "seg_dict_file", offsetof(struct pn_funasr_files, seg_dict), { "seg_dict" }, true },
    { "frontend_conf", "cmvn_file", offsetof(struct pn_funasr_files, cmvn), { "am.mvn" }, true },
};

int pn_funasr_path(const char *folder, const char *name, char *path, size_t cap, struct pn_err *err)
{
    char text[FOLDER_PATH_MAX];
    int n = snprintf(text, sizeof(text), "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof(text) || (size_t)n >= cap)
        return pn_fail(err, PN_ELIMIT, "the path of the model is too long");
    memcpy(path, text, (size_t)n + 1);
    return 0;
}

bool pn_funasr_has(const char *folder, const char *name)
{
    char path[FOLDER_PATH_MAX];
    struct stat st;
    return pn_funasr_path(folder, name, path, sizeof(path), NULL) == 0 && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode);
}

/* A plain name of the folder itself. */
static bool good_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '/' || *c == '\\')
            return false;
    return *name && *name != '.' && strlen(name) < PN_FUNASR_NAME;
}

static int take_name(struct pn_funasr_files *f, const struct role *role, const json_t *v, struct pn_err *err)
{
    if (!v || json_is_null(v))
        return 0;
    const char *name = json_string_value(v);
    if (!name || !good_name(name))
        return pn_fail(err, PN_EFORMAT, "%s: %s '%.80s' is no file of the folder", CONFIGURATION, role->key,
                       name ? name : "");
    if (pn_funasr_has(f->folder, name))
        (void)snprintf((char *)f + role->to, PN_FUNASR_NAME, "%s", name);
    return 0;
}

static int take_names(struct pn_funasr_files *f, const json_t *metas, struct pn_err *err)
{
    int r = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(ROLES) && r == 0; i++) {
        const json_t *in = ROLES[i].group ? json_object_get(metas, ROLES[i].group) : metas;
        r = take_name(f, &ROLES[i], json_object_get(in, ROLES[i].key), err);
    }
    return r;
}

static int read_configuration(struct pn_funasr_files *f, struct pn_err *err)
{
    char path[FOLDER_PATH_MAX];
    struct pn_mapping m;
    int r = pn_funasr_path(f->folder, CONFIGURATION, path, sizeof(path), err);
    if (r < 0 || (r = pn_mapping_open(path, &m, err)) < 0)
        return r;
    json_t *j = NULL;
    if (m.size > CONFIGURATION_MAX)
        r = pn_fail(err, PN_ELIMIT, "%s is larger than %d MB", CONFIGURATION, CONFIGURATION_MAX >> 20);
    else
        r = pn_json_object((struct pn_str){ (const char *)m.ptr, m.size }, PN_JSON_FILE, CONFIGURATION, 0, &j,
                           err);
    if (r == 0)
        r = take_names(f, json_object_get(j, "file_path_metas"), err);
    json_decref(j);
    pn_mapping_close(&m);
    return r;
}

static void take_usual(struct pn_funasr_files *f, const struct role *role)
{
    char *to = (char *)f + role->to;
    for (size_t i = 0; i < PN_ARRAY_LEN(role->usual) && role->usual[i] && !to[0]; i++)
        if (!role->optional || pn_funasr_has(f->folder, role->usual[i]))
            (void)snprintf(to, PN_FUNASR_NAME, "%s", role->usual[i]);
}

int pn_funasr_files_find(const char *folder, struct pn_funasr_files *ret, struct pn_err *err)
{
    struct pn_funasr_files f = { .folder = folder };
    int r = pn_funasr_has(folder, CONFIGURATION) ? read_configuration(&f, err) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; i < PN_ARRAY_LEN(ROLES); i++)
        take_usual(&f, &ROLES[i]);
    *ret = f;
    return 0;
}
