/* test_base_config.c - the table of settings: documented defaults, old names, sources by strength, checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/pinna-config-XXXXXX";
static char yaml[64], dotenv[64];
static struct pn_arena *arena;
static struct pn_err err;

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void clear_environment(void)
{
    for (size_t i = 0; i < pn_config_table.n; i++) {
        char names[128], *rest = names, *name;
        snprintf(names, sizeof(names), "%s", pn_config_table.opts[i].env);
        while ((name = strsep(&rest, ",")))
            unsetenv(name);
    }
}

static int begin(void **state)
{
    clear_environment();
    memset(&err, 0, sizeof(err));
    arena = pn_arena_free(arena);
    return pn_arena_new(1 << 20, &arena);
}

static struct pn_config_loaded *load(const char *yaml_path, const char *dotenv_path)
{
    struct pn_config_loaded *c = NULL;
    if (pn_config_load(arena, yaml_path, dotenv_path, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static void test_defaults(void **state)
{
    const struct pn_config *c = &load(NULL, NULL)->config;
    assert_string_equal(c->host, "0.0.0.0");
    assert_string_equal(c->whisper_model, "base");
    assert_string_equal(c->model_name, "paraformer-zh-streaming");
    assert_string_equal(c->device, "cpu");
    assert_string_equal(c->log_level, "info");
    assert_string_equal(c->log_format, "text");
    assert_string_equal(c->log_file, "logs/asr.log");
    assert_string_equal(c->spool_dir, "");
    assert_string_equal(c->decoder, "");
    assert_string_equal(c->model_dir, "");
    assert_string_equal(c->precision, "int8");
    assert_string_equal(c->cache_dir, "");
    assert_string_equal(c->hf_endpoint, "https://huggingface.co");
    assert_string_equal(c->modelscope_endpoint, "https://modelscope.cn");
    assert_string_equal(c->model_url, "");
    assert_string_equal(c->catalogue, "");
    assert_string_equal(c->cpu, "auto");
    assert_true(!c->auto_pull && !c->offline);
    assert_true(c->port == 9999 && c->max_connections == 20 && c->max_http_connections == 1024);
    assert_true(c->ws_timeout_s == 300 && c->max_upload_mb == 100 && c->header_timeout_s == 10);
    assert_true(c->body_timeout_s == 3600 && c->body_min_rate == 1024 && c->keepalive_s == 75);
    assert_true(c->threads == 0 && c->max_memory_mb == 0 && c->memory_pool && c->cache_mb == 256);
    assert_true(c->max_concurrent == 20 && c->batch_size == 32 && c->worker_threads == 4);
    assert_true(c->chunk_samples == 9600 && c->overlap_samples == 1600 && c->queue_size == 50);
    assert_true(!c->aggressive_gc && c->network_timeout_s == 30 && c->max_audio_s == 14400);
    assert_true(c->decode_memory_mb == 512 && c->decode_cpu_s == 600 && c->decode_stall_s == 30);
    assert_int_equal(pn_config_check(c, &err), 0);
}

static void test_every_option_is_complete_and_unique(void **state)
{
    const struct pn_opt_table *t = &pn_config_table;
    for (size_t i = 0; i < t->n; i++) {
        const struct pn_opt *o = &t->opts[i];
        assert_true(o->key && o->env && o->flag && o->fallback && o->help);
        assert_true(o->type == PN_OPT_BOOL || o->arg);
        assert_true(o->help[strlen(o->help) - 1] != '.');
        assert_int_equal(pn_opt_by_key(t, pn_str(o->key)), i);
        assert_int_equal(pn_opt_by_flag(t, pn_str(o->flag)), i);
        assert_int_equal(pn_opt_by_env(t, (struct pn_str){ o->env, strcspn(o->env, ",") }), i);
        for (size_t k = 0; k < i; k++)
            assert_true(t->opts[k].offset != o->offset);
    }
}

static void test_old_names(void **state)
{
    static const char *const NAMES[] = {
        "HOST",
        "PORT",
        "LOG_LEVEL",
        "MAX_CONNECTIONS",
        "WS_TIMEOUT",
        "TORCH_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "MODEL_NAME",
        "DEVICE",
        "ASR_MAX_MEMORY_MB",
        "ASR_ENABLE_MEMORY_POOL",
        "ASR_CACHE_SIZE_MB",
        "ASR_MAX_CONCURRENT",
        "ASR_BATCH_SIZE",
        "ASR_WORKER_THREADS",
        "ASR_CHUNK_SIZE",
        "ASR_OVERLAP_SIZE",
        "ASR_QUEUE_SIZE",
        "ASR_ENABLE_AGGRESSIVE_GC",
        "ASR_NETWORK_TIMEOUT",
        "WHISPER_MODEL",
        "MODEL_DIR",
        "HF_ENDPOINT",
        "MODELSCOPE_ENDPOINT",
        "PINNA_MAX_UPLOAD_MB",
        "PINNA_MAX_AUDIO_SECONDS",
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++)
        if (pn_opt_by_env(&pn_config_table, pn_str(NAMES[i])) < 0)
            fail_msg("%s is not known", NAMES[i]);
}

static void test_strength(void **state)
{
    write_file(yaml, "server:\n  port: 1\n  host: from-yaml\nlog:\n  level: error\n");
    write_file(dotenv, "PORT=2\nHOST=from-dotenv\n");
    setenv("PORT", "3", 1);
    setenv("HOST", "", 1); /* unset */
    struct pn_config_loaded *c = load(yaml, dotenv);
    assert_int_equal(c->config.port, 3);
    assert_string_equal(c->config.host, "from-dotenv");
    assert_string_equal(c->config.log_level, "error");
    int first = 0;
    char *argv[] = { "x", "--port=4" };
    struct pn_opt_values *tables[] = { &c->values };
    assert_int_equal(pn_opt_read_flags(tables, 1, 2, argv, &first, &err), 0);
    assert_int_equal(c->config.port, 4);
}

static void refused(const char *name, const char *value, int code, const char *says)
{
    setenv(name, value, 1);
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_config_check(&load(NULL, NULL)->config, &err), code);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    unsetenv(name);
}

static void test_checks(void **state)
{
    char file[80];
    snprintf(file, sizeof(file), "%s/file", dir);
    write_file(file, "");
    refused("DEVICE", "cuda", -PN_EUNSUPPORTED, "'cuda' is not supported: this version runs on the CPU only");
    refused("PINNA_SPOOL_DIR", "/nonsense", -PN_EINVAL,
            "PINNA_SPOOL_DIR: /nonsense: No such file or directory");
    refused("PINNA_SPOOL_DIR", file, -PN_EINVAL, "is not a folder");
    refused("PINNA_SPOOL_DIR", "/proc/self", -PN_EINVAL, "cannot be written to");
    refused("PINNA_DECODER", "/nonsense", -PN_EINVAL, "PINNA_DECODER: /nonsense cannot be run");
    setenv("DEVICE", "CPU", 1);
    setenv("PINNA_SPOOL_DIR", dir, 1);
    setenv("PINNA_LOG_FILE", "none", 1);
    struct pn_config_loaded *c = load(NULL, NULL);
    assert_int_equal(pn_config_check(&c->config, &err), 0);
    assert_string_equal(c->config.log_file, "");
    unlink(file);
}

static void test_failure_leaves_the_result_alone(void **state)
{
    struct pn_config_loaded *c = NULL;
    write_file(yaml, "server:\n  port: never\n");
    assert_int_equal(pn_config_load(arena, yaml, NULL, &c, &err), -PN_EINVAL);
    assert_null(c);
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_config_load(arena, "/nonsense.yaml", NULL, &c, &err), -PN_ENOTFOUND);
    assert_null(c);
}

/* Out of memory at every point in turn: it is said, and nothing is half done. */
static void test_without_memory(void **state)
{
    write_file(yaml, "server:\n  port: 1\n  host: from-yaml\n");
    write_file(dotenv, "PORT=2\nMODEL_DIR=/x\n");
    size_t failures = 0;
    for (size_t limit = 0, passed = 0; !passed; limit += 16) {
        struct pn_arena *small = NULL;
        struct pn_config_loaded *c = NULL;
        assert_int_equal(pn_arena_new(limit, &small), 0);
        memset(&err, 0, sizeof(err));
        int r = pn_config_load(small, yaml, dotenv, &c, &err);
        passed = r == 0;
        assert_true(passed ? c->config.port == 2 : r == -PN_ENOMEM && !c && err.code == PN_ENOMEM);
        failures += !passed;
        pn_arena_free(small);
        assert_true(limit < 100000);
    }
    assert_true(failures > 10);
}

static int make_dir(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(yaml, sizeof(yaml), "%s/c.yaml", dir);
    snprintf(dotenv, sizeof(dotenv), "%s/.env", dir);
    return 0;
}

static int remove_dir(void **state)
{
    arena = pn_arena_free(arena);
    unlink(yaml);
    unlink(dotenv);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, begin),
        cmocka_unit_test_setup(test_every_option_is_complete_and_unique, begin),
        cmocka_unit_test_setup(test_old_names, begin),
        cmocka_unit_test_setup(test_strength, begin),
        cmocka_unit_test_setup(test_checks, begin),
        cmocka_unit_test_setup(test_failure_leaves_the_result_alone, begin),
        cmocka_unit_test_setup(test_without_memory, begin),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
