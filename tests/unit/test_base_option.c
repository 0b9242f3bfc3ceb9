/* test_base_option.c - the option table: values, sources by strength, flags, help and guesses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/option.h"

#include <stdlib.h>
#include <string.h>

struct fields {
    const char *name, *level;
    int64_t port, threads;
    double ratio;
    bool quick, loud;
};

static const struct pn_opt OPTS[] = {
    { .key = "server.name",
      .env = "T_NAME",
      .flag = "name",
      .letter = 'n',
      .type = PN_OPT_STR,
      .offset = offsetof(struct fields, name),
      .fallback = "pinna",
      .choices = "none",
      .arg = "NAME",
      .help = "a name" },
    { .key = "server.port",
      .env = "T_PORT",
      .flag = "port",
      .letter = 'p',
      .type = PN_OPT_INT,
      .offset = offsetof(struct fields, port),
      .fallback = "9999",
      .min = 0,
      .max = 65535,
      .arg = "PORT",
      .help = "a port" },
    { .key = "engine.threads",
      .env = "T_FIRST,T_SECOND",
      .flag = "threads",
      .type = PN_OPT_INT,
      .offset = offsetof(struct fields, threads),
      .fallback = "0",
      .min = 0,
      .max = 64,
      .first_of_list = true,
      .arg = "N",
      .help = "threads",
      .advanced = true },
    { .key = "engine.ratio",
      .env = "T_RATIO",
      .flag = "ratio",
      .type = PN_OPT_REAL,
      .offset = offsetof(struct fields, ratio),
      .fallback = "0.5",
      .min = 0,
      .max = 1.5,
      .help = "a ratio" },
    { .key = "engine.quick",
      .env = "T_QUICK",
      .flag = "quick",
      .letter = 'q',
      .type = PN_OPT_BOOL,
      .offset = offsetof(struct fields, quick),
      .fallback = "true",
      .help = "be quick" },
    { .flag = "loud",
      .letter = 'l',
      .type = PN_OPT_BOOL,
      .offset = offsetof(struct fields, loud),
      .fallback = "false",
      .help = "be loud" },
    { .key = "log.level",
      .env = "T_LEVEL",
      .flag = "level",
      .type = PN_OPT_CHOICE,
      .offset = offsetof(struct fields, level),
      .fallback = "info",
      .choices = "debug,info,warn|warning,error",
      .arg = "LEVEL",
      .help = "least level that is written to the log file and to the terminal" },
};
static const struct pn_opt_table TABLE = { OPTS, PN_ARRAY_LEN(OPTS) };

enum { NAME, PORT, THREADS, RATIO, QUICK, LOUD, LEVEL };

static struct pn_arena *arena;
static struct fields f;
static struct pn_opt_values v;
static struct pn_err err;

static int begin(void **state)
{
    arena = pn_arena_free(arena);
    memset(&f, 0, sizeof(f));
    memset(&err, 0, sizeof(err));
    for (size_t i = 0; i < PN_ARRAY_LEN(OPTS); i++)
        if (OPTS[i].env)
            unsetenv(OPTS[i].env);
    unsetenv("T_FIRST");
    unsetenv("T_SECOND");
    return pn_arena_new(1 << 20, &arena) == 0 && pn_opt_init(&v, &TABLE, &f, arena) == 0 ? 0 : -1;
}

static int done(void **state)
{
    arena = pn_arena_free(arena);
    return 0;
}

static int set(size_t i, const char *text, enum pn_origin from, const char *name, int line)
{
    memset(&err, 0, sizeof(err));
    return pn_opt_set(&v, i, pn_str(text), from, name, line, &err);
}

static void test_defaults(void **state)
{
    assert_string_equal(f.name, "pinna");
    assert_string_equal(f.level, "info");
    assert_true(f.port == 9999 && f.threads == 0 && f.ratio == 0.5 && f.quick && !f.loud);
    assert_int_equal(v.origins[PORT].from, PN_FROM_DEFAULT);
}

static void test_refusals(void **state)
{
    static const struct {
        size_t option;
        const char *text;
        enum pn_origin from;
        const char *name;
        int line;
        const char *says;
    } CASES[] = {
        { PORT, "abc", PN_FROM_DOTENV, ".env", 3,
          ".env:3: T_PORT: 'abc' is not a whole number between 0 and 65535" },
        { PORT, "65536", PN_FROM_YAML, "c.yaml", 7,
          "c.yaml:7: server.port: '65536' is not a whole number between 0 and 65535" },
        { PORT, "", PN_FROM_FLAG, "--port", 0, "--port: '' is not a whole number between 0 and 65535" },
        { PORT, "1e3", PN_FROM_ENV, "T_PORT", 0, "T_PORT: '1e3' is not a whole number between 0 and 65535" },
        { RATIO, "2", PN_FROM_FLAG, "--ratio", 0, "--ratio: '2' is not a number between 0 and 1.5" },
        { QUICK, "maybe", PN_FROM_ENV, "T_QUICK", 0, "T_QUICK: 'maybe' is not true or false" },
        { LEVEL, "loud", PN_FROM_ENV, "T_LEVEL", 0,
          "T_LEVEL: 'loud' is not one of debug, info, warn, error" },
        { NAME, "a\nb\x1b[0m", PN_FROM_ENV, "T_NAME", 0,
          "T_NAME: 'a\\nb\\u001b[0m' holds a control character" },
        { PORT, "012345678901234567890123456789012345678901234567890123456789", PN_FROM_ENV, "T_PORT", 0,
          "T_PORT: '0123456789012345678901234567890123456789012345678901...' is not a whole number between 0 "
          "and 65535" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        assert_int_equal(set(CASES[i].option, CASES[i].text, CASES[i].from, CASES[i].name, CASES[i].line),
                         -PN_EINVAL);
        assert_string_equal(err.text, CASES[i].says);
    }
    test_defaults(state);
    char *huge = malloc(100000);
    memset(huge, 'x', 99999);
    huge[99999] = 0;
    assert_int_equal(set(NAME, huge, PN_FROM_ENV, "T_NAME", 0), -PN_EINVAL);
    free(huge);
}

static void test_strength(void **state)
{
    assert_int_equal(set(PORT, "1", PN_FROM_ENV, "T_PORT", 0), 0);
    assert_int_equal(set(PORT, "2", PN_FROM_YAML, "c.yaml", 1), 0); /* weaker: fine, but without effect */
    assert_int_equal(f.port, 1);
    assert_int_equal(set(PORT, "x", PN_FROM_YAML, "c.yaml", 1), -PN_EINVAL); /* wrong all the same */
    assert_int_equal(set(PORT, "3", PN_FROM_FLAG, "--port", 0), 0);
    assert_int_equal(set(PORT, "4", PN_FROM_FLAG, "--port", 0), 0);
    assert_int_equal(f.port, 4);
    assert_string_equal(v.origins[PORT].name, "--port");
}

static void test_spellings(void **state)
{
    assert_int_equal(set(LEVEL, " WARNING ", PN_FROM_ENV, "T_LEVEL", 0), 0);
    assert_string_equal(f.level, "warn");
    assert_int_equal(set(LEVEL, "Debug", PN_FROM_ENV, "T_LEVEL", 0), 0);
    assert_string_equal(f.level, "debug");
    assert_int_equal(set(NAME, "none", PN_FROM_ENV, "T_NAME", 0), 0);
    assert_string_equal(f.name, "");
    assert_int_equal(set(THREADS, "4,2", PN_FROM_ENV, "T_FIRST", 0), 0);
    assert_int_equal(f.threads, 4);
    assert_int_equal(set(THREADS, ",2", PN_FROM_ENV, "T_FIRST", 0), -PN_EINVAL);
    assert_int_equal(set(RATIO, "1e-1", PN_FROM_ENV, "T_RATIO", 0), 0);
    assert_true(f.ratio == 0.1);
}

static const char *text_of(void (*print)(const struct pn_opt_values *, size_t, struct pn_buf *), size_t i)
{
    static char out[64];
    struct pn_buf b;
    pn_buf_init(&b, 60);
    print(&v, i, &b);
    assert_int_equal(pn_str_copy(out, sizeof(out), (struct pn_str){ b.ptr, b.len }), 0);
    pn_buf_done(&b);
    return out;
}

static void test_texts(void **state)
{
    assert_string_equal(text_of(pn_opt_origin_text, PORT), "default");
    assert_int_equal(set(PORT, "1", PN_FROM_YAML, "c.yaml", 7), 0);
    assert_string_equal(text_of(pn_opt_origin_text, PORT), "c.yaml:7");
    assert_int_equal(set(PORT, "1", PN_FROM_DOTENV, ".env", 3), 0);
    assert_string_equal(text_of(pn_opt_origin_text, PORT), ".env:3");
    assert_int_equal(set(PORT, "1", PN_FROM_ENV, "T_PORT", 0), 0);
    assert_string_equal(text_of(pn_opt_origin_text, PORT), "env T_PORT");
    assert_int_equal(set(NAME, "none", PN_FROM_ENV, "T_NAME", 0), 0);
    assert_string_equal(text_of(pn_opt_value_text, NAME), "none");
    assert_string_equal(text_of(pn_opt_value_text, PORT), "1");
    assert_string_equal(text_of(pn_opt_value_text, RATIO), "0.5");
    assert_string_equal(text_of(pn_opt_value_text, QUICK), "true");
    assert_string_equal(text_of(pn_opt_value_text, LEVEL), "info");
}

static void test_environment(void **state)
{
    setenv("T_PORT", "", 1); /* counts as unset */
    setenv("T_SECOND", "8,4", 1);
    setenv("T_NAME", "n", 1);
    assert_int_equal(pn_opt_read_env(&v, &err), 0);
    assert_int_equal(f.port, 9999);
    assert_int_equal(f.threads, 8);
    assert_string_equal(v.origins[THREADS].name, "T_SECOND");
    setenv("T_FIRST", "2", 1);
    assert_int_equal(pn_opt_read_env(&v, &err), 0);
    assert_int_equal(f.threads, 2);
    setenv("T_PORT", "none", 1);
    assert_int_equal(pn_opt_read_env(&v, &err), -PN_EINVAL);
    assert_string_equal(err.text, "T_PORT: 'none' is not a whole number between 0 and 65535");
}

static void test_lookup(void **state)
{
    assert_int_equal(pn_opt_by_key(&TABLE, PN_STR("server.port")), PORT);
    assert_int_equal(pn_opt_by_key(&TABLE, PN_STR("server.por")), -PN_ENOTFOUND);
    assert_int_equal(pn_opt_by_env(&TABLE, PN_STR("T_SECOND")), THREADS);
    assert_int_equal(pn_opt_by_env(&TABLE, PN_STR("T_FIRST,T_SECOND")), -PN_ENOTFOUND);
    assert_int_equal(pn_opt_by_flag(&TABLE, PN_STR("loud")), LOUD);
    assert_int_equal(pn_opt_by_flag(&TABLE, PN_STR("")), -PN_ENOTFOUND);
}

static void test_suggestions(void **state)
{
    static const struct {
        enum pn_opt_name kind;
        const char *unknown, *says;
    } CASES[] = {
        { PN_NAME_KEY, "server.prot", "; did you mean 'server.port'?" },
        { PN_NAME_KEY, "port", "; did you mean 'server.port'?" },
        { PN_NAME_KEY, "engine.port", "; did you mean 'server.port'?" },
        { PN_NAME_ENV, "T_POTR", "; did you mean 'T_PORT'?" },
        { PN_NAME_ENV, "T_SECONDS", "; did you mean 'T_SECOND'?" },
        { PN_NAME_FLAG, "prt", "; did you mean '--port'?" },
        { PN_NAME_FLAG, "wholly-different", "" },
        { PN_NAME_FLAG, "", "" },
        { PN_NAME_FLAG, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
          "" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        char out[96];
        pn_opt_suggest(&TABLE, CASES[i].kind, pn_str(CASES[i].unknown), out);
        assert_string_equal(out, CASES[i].says);
    }
}

static int read_flags(int argc, char **argv, int *ret_first)
{
    struct pn_opt_values *tables[] = { &v };
    memset(&err, 0, sizeof(err));
    return pn_opt_read_flags(tables, 1, argc, argv, ret_first, &err);
}

#define FLAGS(first, ...) \
    read_flags((int)PN_ARRAY_LEN(((char *[]){ "x", __VA_ARGS__ })), (char *[]){ "x", __VA_ARGS__ }, first)

static void test_flags(void **state)
{
    int first = 0;
    char *argv[] = { "x",  "in.wav", "--port",     "1",  "-",  "--level=warn",
                     "-n", "bob",    "--no-quick", "-l", "--", "--port" };
    assert_int_equal(read_flags(PN_ARRAY_LEN(argv), argv, &first), 0);
    assert_true(f.port == 1 && !f.quick && f.loud);
    assert_string_equal(f.level, "warn");
    assert_string_equal(f.name, "bob");
    assert_int_equal(first, 9);
    assert_string_equal(argv[0], "x");
    assert_string_equal(argv[9], "in.wav");
    assert_string_equal(argv[10], "-");
    assert_string_equal(argv[11], "--port");
    assert_string_equal(v.origins[QUICK].name, "--no-quick");
}

static void test_short_flags(void **state)
{
    int first;
    assert_int_equal(FLAGS(&first, "-lqp7", "-nbob", "--quick=no"), 0);
    assert_true(f.loud && !f.quick && f.port == 7);
    assert_string_equal(f.name, "bob");
    assert_int_equal(FLAGS(&first, "-p", "-5"), -PN_EINVAL); /* a value, though it begins with a dash */
    assert_string_equal(err.text, "-p: '-5' is not a whole number between 0 and 65535");
}

static void test_wrong_flags(void **state)
{
    int first = -7;
    char *argv[] = { "x", "file", "--prot", "1" };
    assert_int_equal(read_flags(PN_ARRAY_LEN(argv), argv, &first), -PN_EINVAL);
    assert_string_equal(err.text, "unknown option '--prot'; did you mean '--port'?");
    assert_int_equal(first, -7);
    assert_string_equal(argv[1], "file"); /* nothing was moved */
    assert_int_equal(FLAGS(&first, "--port"), -PN_EINVAL);
    assert_string_equal(err.text, "--port needs a value (PORT)");
    assert_int_equal(FLAGS(&first, "-p"), -PN_EINVAL);
    assert_int_equal(FLAGS(&first, "--no-port"), -PN_EINVAL);
    assert_int_equal(FLAGS(&first, "--no-quick=1"), -PN_EINVAL);
    assert_string_equal(err.text, "--no-quick takes no value");
    assert_int_equal(FLAGS(&first, "-lz"), -PN_EINVAL);
    assert_string_equal(err.text, "unknown option '-lz'");
    assert_int_equal(FLAGS(&first, "--\x1b[31m"), -PN_EINVAL);
    assert_string_equal(err.text, "unknown option '--\\u001b[31m'");
    assert_int_equal(FLAGS(&first, "--=5"), -PN_EINVAL);
    assert_int_equal(FLAGS(&first, "--port=", "x"), -PN_EINVAL);
}

static void test_no_arguments(void **state)
{
    int first = 0;
    char *argv[] = { "x", NULL };
    assert_int_equal(read_flags(1, argv, &first), 0);
    assert_int_equal(first, 1);
}

static void test_help(void **state)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 16);
    pn_opt_help(&TABLE, false, &b);
    assert_string_equal(
        b.ptr,
        "  -n, --name NAME                 a name [pinna]\n"
        "  -p, --port PORT                 a port [9999]\n"
        "      --ratio VALUE               a ratio [0.5]\n"
        "  -q, --[no-]quick                be quick\n"
        "  -l, --loud                      be loud\n"
        "      --level LEVEL               least level that is written to the log file and to the terminal:\n"
        "                                  debug, info, warn, error [info]\n");
    pn_buf_clear(&b);
    pn_opt_help(&TABLE, true, &b);
    assert_non_null(strstr(b.ptr, "--threads"));
    pn_buf_done(&b);
}

static void test_without_memory(void **state)
{
    bool passed = false;
    for (size_t limit = 0; !passed; limit += 16) {
        struct pn_arena *small = NULL;
        struct pn_opt_values w = { .arena = arena };
        struct fields g;
        assert_int_equal(pn_arena_new(limit, &small), 0);
        int r = pn_opt_init(&w, &TABLE, &g, small);
        assert_true(r == 0 || (r == -PN_ENOMEM && w.arena == arena));
        passed = r == 0;
        pn_arena_free(small);
        assert_true(limit < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, begin),    cmocka_unit_test_setup(test_refusals, begin),
        cmocka_unit_test_setup(test_strength, begin),    cmocka_unit_test_setup(test_spellings, begin),
        cmocka_unit_test_setup(test_texts, begin),       cmocka_unit_test_setup(test_environment, begin),
        cmocka_unit_test_setup(test_lookup, begin),      cmocka_unit_test_setup(test_suggestions, begin),
        cmocka_unit_test_setup(test_flags, begin),       cmocka_unit_test_setup(test_short_flags, begin),
        cmocka_unit_test_setup(test_wrong_flags, begin), cmocka_unit_test_setup(test_no_arguments, begin),
        cmocka_unit_test_setup(test_help, begin),        cmocka_unit_test_setup(test_without_memory, begin),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
