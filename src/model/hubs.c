/* hubs.c - see hubs.h. Downloads of those programs may have been interrupted, so a copy counts only when it
 * is complete as far as that can be seen without reading it. */
#include "model/hubs.h"

#include "base/file.h"
#include "base/str.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool pn_path_printf(char path[PN_MODEL_PATH_MAX], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(path, PN_MODEL_PATH_MAX, fmt, args);
    va_end(args);
    return n >= 0 && n < PN_MODEL_PATH_MAX;
}

bool pn_is_model_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

static bool has(const char *folder, const char *name)
{
    char path[PN_MODEL_PATH_MAX];
    return pn_path_printf(path, "%s/%s", folder, name) && pn_is_model_file(path);
}

bool pn_is_model_folder(const char *path)
{
    if (has(path, "config.json") &&
        (has(path, "model.safetensors") || has(path, "model.safetensors.index.json")))
        return true;
    return has(path, "config.yaml") && has(path, "model.pt");
}

/* Writes $NAME, or ~/`below` when that is not set. */
static bool home_or(const char *name, const char *below, char path[PN_MODEL_PATH_MAX])
{
    const char *value = getenv(name), *home = getenv("HOME");
    if (value && *value)
        return pn_path_printf(path, "%s", value);
    return home && *home && pn_path_printf(path, "%s/%s", home, below);
}

/* The reference writes the file in place: one that was interrupted has no zip directory, whose end record
 * lies in the last bytes (without a comment, the last 22). */
static bool is_whole_zip(const char *path)
{
    char tail[4096];
    FILE *f = fopen(path, "rbe"); /* checksrc: the end of a model file */
    if (!f)
        return false;
    size_t n = 0;
    if (fseek(f, -(long)sizeof(tail), SEEK_END) == 0 || fseek(f, 0, SEEK_SET) == 0)
        n = fread(tail, 1, sizeof(tail), f);
    fclose(f);
    return n > 22 && memmem(tail, n, "PK\5\6", 4) != NULL;
}

bool pn_whisper_cache_find(const char *name, char path[PN_MODEL_PATH_MAX])
{
    char cache[PN_MODEL_PATH_MAX];
    return home_or("XDG_CACHE_HOME", ".cache", cache) &&
           pn_path_printf(path, "%s/whisper/%s.pt", cache, name) && pn_is_model_file(path) &&
           is_whole_zip(path);
}

/* ---- the Hugging Face hub: models--OWNER--NAME/{refs/REVISION,snapshots/COMMIT/} ---- */

static bool hugging_face_cache(char path[PN_MODEL_PATH_MAX])
{
    const char *hub = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME");
    char cache[PN_MODEL_PATH_MAX];
    if (hub && *hub)
        return pn_path_printf(path, "%s", hub);
    if (home && *home)
        return pn_path_printf(path, "%s/hub", home);
    return home_or("XDG_CACHE_HOME", ".cache", cache) && pn_path_printf(path, "%s/huggingface/hub", cache);
}

/* The commit that a reference ("main") names; false when there is none or it is no plain name. */
static bool read_commit(const char *repo, const char *ref, char commit[PN_MODEL_NAME_MAX + 1])
{
    char path[PN_MODEL_PATH_MAX];
    struct pn_buf text;
    pn_buf_init(&text, 256);
    bool ok =
        pn_path_printf(path, "%s/refs/%s", repo, ref) && pn_file_read(path, &text, NULL) == 0 &&
        pn_str_copy(commit, PN_MODEL_NAME_MAX + 1, pn_str_trim((struct pn_str){ text.ptr, text.len })) == 0 &&
        pn_model_name_ok(commit);
    pn_buf_done(&text);
    return ok;
}

/* Without a usable refs/main: the newest complete snapshot. */
static bool newest_snapshot(const char *repo, char path[PN_MODEL_PATH_MAX])
{
    char folder[PN_MODEL_PATH_MAX], each[PN_MODEL_PATH_MAX];
    DIR *d = pn_path_printf(folder, "%s/snapshots", repo) ? opendir(folder) : NULL;
    struct stat st;
    time_t newest = 0;
    bool found = false;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!pn_model_name_ok(e->d_name) || !pn_path_printf(each, "%s/%s", folder, e->d_name) ||
            stat(each, &st) < 0 || !pn_is_model_folder(each) || (found && st.st_mtime < newest))
            continue;
        found = pn_path_printf(path, "%s", each);
        newest = st.st_mtime;
    }
    if (d)
        closedir(d);
    return found;
}

bool pn_hugging_face_find(const char *repository, const char *revision, char path[PN_MODEL_PATH_MAX])
{
    char cache[PN_MODEL_PATH_MAX], repo[PN_MODEL_PATH_MAX], commit[PN_MODEL_NAME_MAX + 1];
    const char *slash = strchr(repository, '/');
    if (!slash || !hugging_face_cache(cache) ||
        !pn_path_printf(repo, "%s/models--%.*s--%s", cache, (int)(slash - repository), repository, slash + 1))
        return false;
    if (read_commit(repo, revision[0] ? revision : "main", commit) &&
        pn_path_printf(path, "%s/snapshots/%s", repo, commit) && pn_is_model_folder(path))
        return true;
    return !revision[0] && newest_snapshot(repo, path);
}

/* ---- ModelScope: [hub/][models/]OWNER/NAME, where '.' in the name is written "___" ---- */

static bool modelscope_name(const char *name, char out[PN_MODEL_PATH_MAX])
{
    size_t n = 0;
    for (; *name && n + 4 < PN_MODEL_PATH_MAX; name++) {
        size_t len = *name == '.' ? 3 : 1;
        memcpy(out + n, *name == '.' ? "___" : name, len);
        n += len;
    }
    out[n] = '\0';
    return *name == '\0';
}

/* The client notes in .mv what it fetched: "Revision:v2.0.4,CreatedAt:1708418239". */
static bool is_revision(const char *folder, const char *revision)
{
    static const char KEY[] = "Revision:";
    char path[PN_MODEL_PATH_MAX];
    struct pn_buf text;
    pn_buf_init(&text, 4096);
    bool ok = pn_path_printf(path, "%s/.mv", folder) && pn_file_read(path, &text, NULL) == 0;
    const char *at = ok && text.len > 0 ? strstr(text.ptr, KEY) : NULL; /* text has a NUL behind it */
    size_t n = at ? strcspn(at + strlen(KEY), ", \t\r\n") : 0;
    ok = at && pn_str_is((struct pn_str){ at + strlen(KEY), n }, revision);
    pn_buf_done(&text);
    return ok;
}

static bool modelscope_folder(const char *cache, const char *owner, const char *name, const char *revision,
                              char *path)
{
    static const char *const BELOW[] = { "models/", "", "hub/models/", "hub/" };
    for (size_t i = 0; i < PN_ARRAY_LEN(BELOW); i++)
        if (pn_path_printf(path, "%s/%s%s/%s", cache, BELOW[i], owner, name) && pn_is_model_folder(path) &&
            (!revision[0] || is_revision(path, revision)))
            return true;
    return false;
}

bool pn_modelscope_find(const char *repository, const char *revision, char path[PN_MODEL_PATH_MAX])
{
    char cache[PN_MODEL_PATH_MAX], name[PN_MODEL_PATH_MAX], owner[PN_MODEL_NAME_MAX + 1];
    const char *slash = strchr(repository, '/');
    if (!slash || !home_or("MODELSCOPE_CACHE", ".cache/modelscope/hub", cache) ||
        !modelscope_name(slash + 1, name) ||
        pn_str_copy(owner, sizeof(owner), (struct pn_str){ repository, (size_t)(slash - repository) }) < 0)
        return false;
    if (modelscope_folder(cache, owner, name, revision, path))
        return true;
    const char *other = strcmp(owner, "iic") == 0 ? "damo" : strcmp(owner, "damo") == 0 ? "iic" : NULL;
    return other && modelscope_folder(cache, other, name, revision, path); /* one owner, renamed */
}
