/* test_base_yaml.c - configuration files: what is read, and every way to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pn_buf seen; /* "key=value@line;" for every scalar; a null has no '=' */
static struct pn_err err;

static int note(void *ctx, struct pn_str key, struct pn_str value, int line, struct pn_err *e)
{
    pn_buf_printf(&seen, "%.*s%s%.*s@%d;", (int)key.len, key.ptr, value.ptr ? "=" : "", (int)value.len,
                  value.ptr ? value.ptr : "", line);
    return 0;
}

static int parse(struct pn_str text)
{
    pn_buf_clear(&seen);
    pn_buf_puts(&seen, ">");
    memset(&err, 0, sizeof(err));
    return pn_yaml_parse(text, "c.yaml", note, NULL, &err);
}

static void test_accepted(void **state)
{
    const struct {
        struct pn_str text;
        const char *says;
    } CASES[] = {
        { PN_STR(""), ">" },
        { PN_STR("# only a comment\n"), ">" },
        { PN_STR("---\n...\n"), ">" },
        { PN_STR("a: 1\n"), ">a=1@1;" },
        { PN_STR("---\nserver:\n  port: 1 # c\n  host: 'x y'\nlog: {level: \"a\\nb\"}\n"),
          ">server.port=1@3;server.host=x y@4;log.level=a\nb@5;" },
        { PN_STR("\xef\xbb\xbf"
                 "a: 1\r\nb: 2\r\n"),
          ">a=1@1;b=2@2;" },
        { PN_STR("server.port: 1\n"), ">server.port=1@1;" },
        { PN_STR("a:\nb: ~\nc: null\nd: ''\n"), ">a@1;b@2;c@3;d=@4;" },
        { PN_STR("a:\n  b:\n    c: 1\n  d: 2\ne: 3\n"), ">a.b.c=1@3;a.d=2@4;e=3@5;" },
        { PN_STR("a: {}\nb: 1\n"), ">b=1@2;" },
        { PN_STR("%YAML 1.1\n---\na: |\n  x\n  y\n"), ">a=x\ny\n@3;" },
        { PN_STR("a: {b: {c: {d: {e: {f: {g: 1}}}}}}\n"), ">a.b.c.d.e.f.g=1@1;" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        if (parse(CASES[i].text) != 0)
            fail_msg("%zu: %s", i, err.text);
        assert_string_equal(seen.ptr, CASES[i].says);
    }
}

static void test_refused(void **state)
{
    const struct {
        struct pn_str text;
        const char *says; /* the beginning of the text */
    } CASES[] = {
        { PN_STR("a: &x 1\n"), "c.yaml:1: anchors are not allowed here" },
        { PN_STR("a: 1\nb: &x\n  c: 1\n"), "c.yaml:2: anchors are not allowed here" },
        { PN_STR("a: *x\n"), "c.yaml:1: aliases are not allowed here" },
        { PN_STR("&a a: &b {c: *a}\n"), "c.yaml:1: anchors are not allowed here" },
        { PN_STR("a: !!int 1\n"), "c.yaml:1: tags are not allowed here" },
        { PN_STR("a: !x {b: 1}\n"), "c.yaml:1: tags are not allowed here" },
        { PN_STR("%TAG ! tag:x,2000:\n---\na: 1\n"), "c.yaml:1: tags are not allowed here" },
        { PN_STR("a:\n- 1\n"), "c.yaml:2: lists are not allowed here" },
        { PN_STR("[]"), "c.yaml:1: lists are not allowed here" },
        { PN_STR("just text\n"), "c.yaml:1: expected 'key: value' lines" },
        { PN_STR("a: 1\n---\nb: 1\n"), "c.yaml:2: only one document is allowed" },
        { PN_STR("a: 1\nb: 2\na: 3\n"), "c.yaml:3: the key 'a' is there twice" },
        { PN_STR("a:\n  b: 1\na:\n  c: 1\n"), "c.yaml:3: the key 'a' is there twice" },
        { PN_STR("a.b: 1\na:\n  b: 1\n"), "c.yaml:3: the key 'a.b' is there twice" },
        { PN_STR("a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n"), "c.yaml:1: nested too deeply" },
        { PN_STR("{a: 1}: 2\n"), "c.yaml:1: a mapping cannot be a key" },
        { PN_STR("a b: 1\n"), "c.yaml:1: a key must be one word" },
        { PN_STR("\"a\\0b\": 1\n"), "c.yaml:1: a key must be one word" },
        { PN_STR("'': 1\n"), "c.yaml:1: a key must be one word" },
        { PN_STR("<<: {a: 1}\n"), "c.yaml:1: a key must be one word" },
        { PN_STR("a: 1\n\tb: 2\n"), "c.yaml:2: " },
        { PN_STR("a: {\n"), "c.yaml:" },
        { PN_STR("a: 1\nb: \xff\n"), "c.yaml:2: " },
        { PN_STR("a: 1\n\0b: 2\n"), "c.yaml:2: " },
        { PN_STR("a: 'x\n"), "c.yaml:" },
        { PN_STR("\xff\xfe"
                 "a\0:\0 \0\x31\0"),
          "c.yaml:1: " }, /* UTF-16 */
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        if (parse(CASES[i].text) != -PN_EFORMAT ||
            strncmp(err.text, CASES[i].says, strlen(CASES[i].says)) != 0)
            fail_msg("%zu: wanted \"%s\", got \"%s\"", i, CASES[i].says, err.text);
    }
}

static char *repeated(const char *unit, size_t n)
{
    size_t len = strlen(unit);
    char *text = malloc(n * len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, unit, len + 1);
    return text;
}

/* Refused, and within a second, whatever libyaml makes of it. */
static void refuse_quickly(char *text)
{
    int64_t start = pn_now_us();
    assert_true(parse(pn_str(text)) < 0);
    assert_true(pn_now_us() - start < 10000000);
    free(text);
}

static void test_bombs(void **state)
{
    refuse_quickly(repeated("[", 200000));
    refuse_quickly(repeated("{a: ", 60000));
    refuse_quickly(repeated("? ", 100000));
    refuse_quickly(repeated("- ", 100000));
    refuse_quickly(repeated("a: ", 80000));
    refuse_quickly(repeated("{", 250000));
    refuse_quickly(repeated("a", 1 << 20)); /* 1 MB without a line break */
    char *long_key = repeated("a", 5000);
    memcpy(long_key + 4990, ": 1", 4);
    refuse_quickly(long_key);
}

static void test_number_of_keys(void **state)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 20);
    for (int i = 0; i < 1024; i++)
        pn_buf_printf(&b, "k%d: 1\n", i);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }), 0);
    pn_buf_puts(&b, "one_more: 1\n");
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }), -PN_ELIMIT);
    pn_buf_done(&b);
}

static void test_size(void **state)
{
    char *text = repeated("# comment of 16\n", (256 << 10) / 16);
    assert_int_equal(parse(pn_str(text)), 0);
    free(text);
    text = repeated("# comment of 16\n", (256 << 10) / 16 + 1);
    assert_int_equal(parse(pn_str(text)), -PN_ELIMIT);
    free(text);
}

static int refuse_second(void *ctx, struct pn_str key, struct pn_str value, int line, struct pn_err *e)
{
    int *calls = ctx;
    return ++*calls == 2 ? -PN_ECANCELLED : 5;
}

static void test_callback_ends_it(void **state)
{
    int calls = 0;
    assert_int_equal(pn_yaml_parse(PN_STR("a: 1\nb: 2\nc: 3\n"), "c", refuse_second, &calls, NULL),
                     -PN_ECANCELLED);
    assert_int_equal(calls, 2);
}

/* --- files into a table --- */

static char file[] = "/tmp/pinna-yaml-XXXXXX";

static int read_into(const char *text, struct pn_config *c)
{
    struct pn_arena *a = NULL;
    struct pn_opt_values v;
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    assert_int_equal(pn_opt_init(&v, &pn_config_table, c, a), 0);
    int r = pn_opt_read_yaml(&v, file, &err);
    pn_arena_free(a);
    return r;
}

static void test_into_a_table(void **state)
{
    struct pn_config c;
    assert_int_equal(read_into("server:\n  port: 1\n  host:\nlog:\n", &c), 0);
    assert_int_equal(c.port, 1);
    assert_int_equal(read_into("\nserver:\n  prot: 1\n", &c), -PN_EINVAL);
    assert_non_null(strstr(err.text, ":3: unknown key 'server.prot'; did you mean 'server.port'?"));
    assert_int_equal(read_into("server:\n  prot:\n", &c), -PN_EINVAL);
    assert_int_equal(read_into("nonsense:\n", &c), -PN_EINVAL);
    assert_int_equal(read_into("server: 5\n", &c), -PN_EINVAL);
    assert_int_equal(read_into("server:\n  port: no\n", &c), -PN_EINVAL);
    assert_non_null(strstr(err.text, ":2: server.port: 'no' is not a whole number between 0 and 65535"));
}

static void test_missing_file(void **state)
{
    struct pn_opt_values v = { 0 };
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_opt_read_yaml(&v, "/nonsense.yaml", &err), -PN_ENOTFOUND);
    assert_string_equal(err.text, "there is no file /nonsense.yaml");
}

static int begin(void **state)
{
    pn_buf_init(&seen, 1 << 21);
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int done(void **state)
{
    pn_buf_done(&seen);
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bombs),        cmocka_unit_test(test_number_of_keys),
        cmocka_unit_test(test_size),         cmocka_unit_test(test_callback_ends_it),
        cmocka_unit_test(test_into_a_table), cmocka_unit_test(test_missing_file),
    };
    return cmocka_run_group_tests(tests, begin, done);
}
