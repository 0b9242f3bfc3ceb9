/* models.c - `pinna models`: see models.h. */
#include "cli/models.h"

#include "base/json.h"
#include "cli/options.h"
#include "model/caches.h"
#include "model/look.h"
#include "model/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)4 << 20)
enum { EXIT_USAGE = 2, MULTILINGUAL_VOCABULARY = 51865 };

struct fields {
    const char *format;
    bool help, help_all;
};

#define OWN(type_, name_, member_) \
    .flag = (name_), .type = (type_), .offset = offsetof(struct fields, member_)

static const struct pn_opt OPTIONS[] = {
    { OWN(PN_OPT_CHOICE, "format", format), .letter = 'f', .fallback = "text", .arg = "FORMAT",
      .choices = "text,json", .help = "what to write" },
    { OWN(PN_OPT_BOOL, "help", help), .letter = 'h', .fallback = "false", .help = "print this and exit" },
    { OWN(PN_OPT_BOOL, "help-all", help_all), .fallback = "false", .help = "print every setting and exit" },
};
static const struct pn_opt_table TABLE = { OPTIONS, PN_ARRAY_LEN(OPTIONS) };

static const char USAGE[] =
    "usage: pinna models [OPTION]...\n\n"
    "Lists the models on this machine and those that `pinna pull` can get. A * marks\n"
    "the one that uploads use by default, a + the one for live audio.\n";

/* What is printed of one model. */
struct row {
    const char *name, *kind, *languages, *format, *place, *path;
    int64_t size;
    bool uploads, live; /* the default for these */
};

struct printer {
    const struct pn_config *config;
    const struct pn_mirror *mirror;
    struct pn_buf out;
    struct pn_json json;
    bool as_json;
};

/* ---- rows ---- */

static bool is_name_of(const struct pn_catalogue_entry *e, const char *name, const char *wanted)
{
    return strcmp(name, wanted) == 0 || (e && e->alias && strcmp(e->alias, wanted) == 0);
}

static void format_size(int64_t bytes, char out[24])
{
    if (bytes <= 0)
        snprintf(out, 24, "-");
    else if (bytes < 10000000)
        snprintf(out, 24, "%.1f MB", (double)bytes / 1e6);
    else
        snprintf(out, 24, "%lld MB", (long long)(bytes / 1000000));
}

static void put_text_row(struct printer *p, const struct row *r)
{
    char size[24], name[PN_MODEL_NAME_MAX + 4];
    format_size(r->size, size);
    snprintf(name, sizeof(name), "%s%s%s", r->name, r->uploads ? "*" : "", r->live ? "+" : "");
    pn_buf_printf(&p->out, "%-30s %-11s %-14s %9s", name, r->kind, r->languages, size);
    if (r->path)
        pn_buf_printf(&p->out, "  %-8s %-11s %s", r->format, r->place, r->path);
    pn_buf_putc(&p->out, '\n');
}

static void put_json_row(struct printer *p, const struct row *r)
{
    struct pn_json *j = &p->json;
    const struct {
        const char *key, *value;
    } texts[] = { { "name", r->name },     { "kind", r->kind },   { "languages", r->languages },
                  { "format", r->format }, { "place", r->place }, { "path", r->path } };
    pn_json_begin_object(j);
    for (size_t i = 0; i < PN_ARRAY_LEN(texts); i++)
        if (texts[i].value) {
            pn_json_key(j, texts[i].key);
            pn_json_cstr(j, texts[i].value);
        }
    pn_json_key(j, r->path ? "size" : "download_size");
    pn_json_i64(j, r->size);
    pn_json_key(j, "default_for");
    pn_json_begin_array(j);
    if (r->uploads)
        pn_json_cstr(j, "uploads");
    if (r->live)
        pn_json_cstr(j, "live");
    pn_json_end_array(j);
    pn_json_end_object(j);
}

static void put_row(struct printer *p, struct row *r, const struct pn_catalogue_entry *e)
{
    r->uploads = p->config && is_name_of(e, r->name, p->config->whisper_model);
    r->live = p->config && is_name_of(e, r->name, p->config->model_name);
    if (p->as_json)
        put_json_row(p, r);
    else
        put_text_row(p, r);
}

/* ---- what is here ---- */

/* Of a model that no catalogue knows. The size of Whisper's vocabulary tells the languages. */
static void look_inside(const char *name, const char *path, struct row *r)
{
    enum pn_model_kind kind;
    int64_t n;
    r->kind = r->languages = "?";
    if (pn_model_look(name, path, &kind, &n) < 0)
        return;
    r->kind = pn_model_kind_name(kind);
    if (kind == PN_MODEL_WHISPER)
        r->languages = n > MULTILINGUAL_VOCABULARY    ? "100 languages"
                       : n == MULTILINGUAL_VOCABULARY ? "99 languages"
                                                      : "en";
}

static int put_found(void *ctx, const struct pn_model_found *f)
{
    struct printer *p = ctx;
    const struct pn_pull_options known = { .mirror = p->mirror };
    const struct pn_catalogue_entry *e = pn_pull_find(&known, f->name);
    struct row r = { .name = f->name,
                     .format = pn_model_form_name(f->form),
                     .place = pn_model_place_name(f->place),
                     .path = f->path,
                     .size = f->size };
    if (e) {
        r.kind = pn_model_kind_name(e->kind);
        r.languages = e->languages;
    } else {
        look_inside(f->name, f->path, &r);
    }
    put_row(p, &r, e);
    return 0;
}

/* ---- what can be had ---- */

static void put_entry(struct printer *p, const struct pn_catalogue_entry *e)
{
    struct row r = {
        .name = e->name, .kind = pn_model_kind_name(e->kind), .languages = e->languages, .size = e->size
    };
    put_row(p, &r, e);
}

static bool is_here(const struct printer *p, const char *name)
{
    char path[PN_MODEL_PATH_MAX];
    const struct pn_locate_options where = { .model_dir = p->config ? p->config->model_dir : "" };
    return pn_model_locate(name, &where, path, sizeof(path), NULL) == 0;
}

/* `all`: also what is here already. */
static void put_available(struct printer *p, bool all)
{
    const struct pn_catalogue_entry *e;
    for (size_t i = 0; (e = pn_mirror_at(p->mirror, i)); i++)
        if (all || !is_here(p, e->name))
            put_entry(p, e);
    for (size_t i = 0; (e = pn_catalogue_at(i)); i++)
        if (!pn_mirror_find(p->mirror, e->name) && (all || !is_here(p, e->name)))
            put_entry(p, e);
}

/* ---- the output ---- */

static int put_text(struct printer *p, struct pn_err *err)
{
    const struct pn_locate_options where = { .model_dir = p->config->model_dir };
    char dir[PN_MODEL_PATH_MAX] = "(no MODEL_DIR)";
    int r = pn_model_dir(&where, dir, sizeof(dir), NULL);
    pn_buf_printf(&p->out, "Here (MODEL_DIR is %s%s):\n", dir, r < 0 ? ", none is known" : "");
    size_t before = p->out.len;
    r = pn_models_each(&where, put_found, p, err);
    if (p->out.len == before)
        pn_buf_puts(&p->out, "nothing but sphinx, which comes with Pinna and knows English only\n");
    pn_buf_puts(&p->out, "\nCan be had with `pinna pull NAME`:\n");
    put_available(p, false);
    return r;
}

static int put_json(struct printer *p, struct pn_err *err)
{
    const struct pn_locate_options where = { .model_dir = p->config->model_dir };
    char dir[PN_MODEL_PATH_MAX] = "";
    pn_json_init(&p->json, &p->out);
    pn_json_begin_object(&p->json);
    pn_json_key(&p->json, "model_dir");
    pn_json_cstr(&p->json, pn_model_dir(&where, dir, sizeof(dir), NULL) == 0 ? dir : NULL);
    pn_json_key(&p->json, "models");
    pn_json_begin_array(&p->json);
    int r = pn_models_each(&where, put_found, p, err);
    pn_json_end_array(&p->json);
    pn_json_key(&p->json, "available");
    pn_json_begin_array(&p->json);
    put_available(p, false);
    pn_json_end_array(&p->json);
    pn_json_end_object(&p->json);
    pn_buf_putc(&p->out, '\n');
    return r;
}

static int write_out(const struct pn_buf *out)
{
    bool ok = !out->failed && fwrite(out->ptr, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
    return ok ? 0 : -PN_EIO;
}

int pn_models_print_available(const struct pn_mirror *mirror)
{
    struct printer p = { .mirror = mirror };
    pn_buf_init(&p.out, OUTPUT_MAX);
    put_available(&p, true);
    int r = write_out(&p.out);
    pn_buf_done(&p.out);
    return r;
}

static int print(const struct pn_config *c, const struct pn_mirror *mirror, bool as_json, struct pn_err *err)
{
    struct printer p = { .config = c, .mirror = mirror, .as_json = as_json };
    pn_buf_init(&p.out, OUTPUT_MAX);
    int r = as_json ? put_json(&p, err) : put_text(&p, err);
    if (r == 0 && write_out(&p.out) < 0)
        r = pn_fail(err, PN_EIO, "the output could not be written");
    pn_buf_done(&p.out);
    return r < 0 ? 1 : 0;
}

static int run(int argc, char **argv, struct pn_arena *arena, struct pn_err *err)
{
    struct fields own = { 0 };
    struct pn_config_loaded *c = NULL;
    struct pn_mirror *mirror = NULL;
    int first = argc;
    if (pn_cli_options(argc, argv, &TABLE, &own, arena, &c, &first, err) < 0)
        return EXIT_USAGE;
    if (own.help || own.help_all)
        return pn_cli_print_help(USAGE, &TABLE, own.help_all) < 0;
    if (first < argc) {
        pn_fail(err, PN_EINVAL, "unexpected argument '%.60s'", argv[first]);
        return EXIT_USAGE;
    }
    if (pn_mirror_read(c->config.catalogue, &mirror, err) < 0)
        return EXIT_USAGE;
    int status = print(&c->config, mirror, strcmp(own.format, "json") == 0, err);
    pn_mirror_free(mirror);
    return status;
}

int pn_cmd_models(int argc, char **argv)
{
    return pn_cli_run("models", run, argc, argv);
}
