/* fuzz_dotenv.c - the parser of .env files, any bytes; then the same bytes into the table of settings. */
#include "base/config.h"
#include "base/dotenv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* Every assignment goes into a table, wherever it fits; a refusal is an error with a text. */
static int on_line(void *ctx, struct pn_str name, struct pn_str value, int line, struct pn_err *err)
{
    struct pn_opt_values *v = ctx;
    check(name.len > 0 && line >= 1 && (value.len == 0 || !memchr(value.ptr, 0, value.len)));
    int i = pn_opt_by_env(v->table, name);
    if (i < 0 && line < 4) { /* slow: not for every line */
        char hint[96];
        pn_opt_suggest(v->table, PN_NAME_ENV, name, hint);
        check(strlen(hint) < sizeof(hint));
    }
    struct pn_err own = { 0 };
    int r = i < 0 ? 0 : pn_opt_set(v, (size_t)i, value, PN_FROM_DOTENV, "f.env", line, &own);
    check(r == 0 ? own.code == 0 : own.code == -r && own.text[0]);
    return r == 0 || name.len % 2 ? 0 : pn_fail(err, (enum pn_error)own.code, "%s", own.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_arena *arena = NULL;
    struct pn_config config;
    struct pn_opt_values v;
    struct pn_err err = { 0 };
    if (pn_arena_new(1 << 20, &arena) < 0 || pn_opt_init(&v, &pn_config_table, &config, arena) < 0)
        abort();
    int r = pn_dotenv_parse((struct pn_str){ (const char *)data, size }, "f.env", on_line, &v, &err);
    check(r == 0 ? err.code == 0 : err.code == -r && strncmp(err.text, "f.env", 5) == 0);
    check(config.port >= 0 && config.port <= 65535 && config.queue_size >= 1 && config.host &&
          config.log_level);
    pn_arena_free(arena);
    return 0;
}
