/* test_model_catalogue.c - the built-in catalogue, catalogues of one's own, where models and rank files are
 * looked for, and the sources that a model can be had from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/caches.h"
#include "model/mirror.h"
#include "model/model_ref.h"
#include "model/source.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/pinna-catalogue-XXXXXX";
static struct pn_err err;

static const char *in_dir(const char *name)
{
    static char path[4][256];
    static unsigned i;
    char *p = path[i++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* ---- the table ---- */

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static void check_sources_of(const struct pn_catalogue_entry *e)
{
    bool any = e->n_files > 0 || e->sha256 || e->sha1 || e->modelscope || e->hugging_face;
    assert_true(any);
    assert_true(!e->sha256 || is_hex(e->sha256, 64));
    assert_true(!e->sha1 || is_hex(e->sha1, 40));
    assert_true(!e->hugging_face || (strchr(e->hugging_face, '/') && e->folder));
    assert_true(!e->modelscope || (strchr(e->modelscope, '/') && e->folder));
    for (size_t i = 0; i < e->n_files; i++) {
        assert_true(is_hex(e->files[i].digest, 64));
        assert_true(strncmp(e->files[i].url, "https://", 8) == 0 && e->files[i].size > 0);
    }
    if (e->ranks)
        assert_int_equal(pn_catalogue_find(e->ranks)->kind, PN_MODEL_VOCABULARY);
}

static void test_every_entry_is_complete_and_unique(void **state)
{
    const struct pn_catalogue_entry *e;
    size_t n = 0;
    for (; (e = pn_catalogue_at(n)); n++) {
        assert_true(pn_model_name_ok(e->name) && e->languages && e->size > 0);
        assert_ptr_equal(pn_catalogue_find(e->name), e);
        if (e->alias)
            assert_ptr_equal(pn_catalogue_find(e->alias), e);
        enum pn_model_kind kind;
        assert_int_equal(pn_model_kind_parse(pn_model_kind_name(e->kind), &kind), 0);
        assert_int_equal(kind, e->kind);
        check_sources_of(e);
        for (size_t k = 0; k < n; k++)
            if (e->sha256 && pn_catalogue_at(k)->sha256)
                assert_string_not_equal(e->sha256, pn_catalogue_at(k)->sha256);
    }
    assert_true(n > 20);
}

static void test_known_names(void **state)
{
    static const char *const NAMES[] = { "tiny",
                                         "tiny.en",
                                         "base",
                                         "base.en",
                                         "small",
                                         "small.en",
                                         "medium",
                                         "large-v1",
                                         "large-v3-turbo",
                                         "turbo",
                                         "large",
                                         "medium.en",
                                         "large-v2",
                                         "paraformer-zh",
                                         "fsmn-vad",
                                         "ct-punc",
                                         "silero-vad",
                                         "paraformer",
                                         "paraformer-zh-streaming",
                                         "paraformer-zh-streaming-small",
                                         "paraformer-en",
                                         "paraformer-en-spk",
                                         "ct-punc-c",
                                         "ct-punc-realtime" };
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++)
        if (!pn_catalogue_find(NAMES[i]))
            fail_msg("%s is not in the catalogue", NAMES[i]);
    assert_string_equal(pn_catalogue_find("large")->name, "large-v3");
    assert_string_equal(pn_catalogue_find("turbo")->name, "large-v3-turbo");
    assert_string_equal(pn_catalogue_find("base.en")->ranks, "gpt2.tiktoken");
    assert_string_equal(pn_catalogue_find("large-v1")->hugging_face, "openai/whisper-large");
    assert_null(pn_catalogue_find("huge"));
    assert_null(pn_catalogue_find(""));
    enum pn_model_kind kind;
    assert_int_equal(pn_model_kind_parse("nonsense", &kind), -PN_EINVAL);
}

static void test_names(void **state)
{
    char longest[PN_MODEL_NAME_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[PN_MODEL_NAME_MAX] = '\0';
    assert_true(pn_model_name_ok(longest) && pn_model_name_ok("a") && pn_model_name_ok("A-b_c.9"));
    longest[PN_MODEL_NAME_MAX] = 'x';
    longest[PN_MODEL_NAME_MAX + 1] = '\0';
    static const char *const BAD[] = { "", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "\xc3\xa4" };
    assert_false(pn_model_name_ok(longest));
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++)
        assert_false(pn_model_name_ok(BAD[i]));
}

static void test_references(void **state)
{
    static const struct {
        const char *text, *entry, *repository, *revision, *name;
    } CASES[] = {
        { "base", "base", "", "", "base" },
        { "turbo", "large-v3-turbo", "", "", "large-v3-turbo" },
        { "ours.v2", NULL, "", "", "ours.v2" },
        { "paraformer-zh@v2.0.4", "paraformer-zh", "", "v2.0.4", "paraformer-zh@v2.0.4" },
        { "paraformer-en-spk@v1", "paraformer-en", "", "v1", "paraformer-en@v1" },
        { "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch", "fsmn-vad",
          "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch", "", "fsmn-vad" },
        { "damo/speech_fsmn_vad_zh-cn-16k-common-pytorch@v2.0.4", "fsmn-vad",
          "damo/speech_fsmn_vad_zh-cn-16k-common-pytorch", "v2.0.4", "fsmn-vad@v2.0.4" },
        { "funasr/paraformer-zh", "paraformer-zh", "funasr/paraformer-zh", "", "paraformer-zh" },
        { "iic/speech_paraformer_asr_nat-zh-cn-16k-common-vocab8404-online", "paraformer-zh-streaming-small",
          "iic/speech_paraformer_asr_nat-zh-cn-16k-common-vocab8404-online", "",
          "paraformer-zh-streaming-small" },
        { "a/b.c", NULL, "a/b.c", "", "a--b.c" },
        { "a/b@main", NULL, "a/b", "main", "a--b@main" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_model_ref ref;
        assert_int_equal(pn_model_ref_parse(CASES[i].text, &ref), 0);
        assert_ptr_equal(ref.e, CASES[i].entry ? pn_catalogue_find(CASES[i].entry) : NULL);
        assert_string_equal(ref.repository, CASES[i].repository);
        assert_string_equal(ref.revision, CASES[i].revision);
        assert_string_equal(ref.name, CASES[i].name);
        assert_true(pn_model_name_ok(ref.name));
    }
}

static void test_what_is_no_reference(void **state)
{
    static const char *const BAD[] = { "",      "/",    "/a",  "a/",   "a/b/c", "./a",   "../a",
                                       "a/..",  "a b",  "@",   "@v1",  "a@",    "a@b@c", "a@../b",
                                       "a@b/c", "a/.b", "~/a", "-a/b", "a@-b" };
    char longest[2 * PN_MODEL_NAME_MAX + 2];
    struct pn_model_ref ref = { .name = "as it was" };
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++)
        assert_int_equal(pn_model_ref_parse(BAD[i], &ref), -PN_EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(pn_model_ref_parse(longest, &ref), -PN_EINVAL);
    longest[PN_MODEL_NAME_MAX] = '/'; /* either half is a name, but not both together */
    assert_int_equal(pn_model_ref_parse(longest, &ref), -PN_EINVAL);
    assert_string_equal(ref.name, "as it was");
}

static void test_classes(void **state)
{
    enum pn_model_kind kind = PN_MODEL_VOCABULARY;
    assert_int_equal(pn_model_kind_of_class("SenseVoiceSmall", &kind), -PN_EUNSUPPORTED);
    assert_int_equal(pn_model_kind_of_class("", &kind), -PN_EUNSUPPORTED);
    assert_int_equal(kind, PN_MODEL_VOCABULARY);
    assert_int_equal(pn_model_kind_of_class("SeacoParaformer", &kind), 0);
    assert_int_equal(kind, PN_MODEL_PARAFORMER);
    assert_int_equal(pn_model_kind_of_class("FsmnVADStreaming", &kind), 0);
    assert_int_equal(kind, PN_MODEL_VAD);
    assert_int_equal(pn_model_kind_of_class("CTTransformer", &kind), 0);
    assert_int_equal(kind, PN_MODEL_PUNCTUATION);
}

/* ---- sources ---- */

static struct pn_pull_options options(void)
{
    return (struct pn_pull_options){ .model_dir = dir,
                                     .hf_endpoint = "https://hf.example//",
                                     .modelscope_endpoint = "https://ms.example/",
                                     .model_url = "",
                                     .stall_s = 1 };
}

static int sources_of(const char *name, const struct pn_pull_options *opt, struct pn_arena *arena,
                      struct pn_source s[PN_SOURCES_MAX])
{
    const struct pn_catalogue_entry *e = pn_pull_find(opt, name);
    assert_non_null(e);
    return pn_sources(e, "", opt, arena, s);
}

static void test_addresses(void **state)
{
    struct pn_source s[PN_SOURCES_MAX];
    struct pn_arena *a = NULL;
    struct pn_pull_options opt = options();
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    assert_int_equal(sources_of("base", &opt, a, s), 3);
    assert_string_equal(s[0].files[0].url,
                        "https://openaipublic.azureedge.net/main/whisper/models/"
                        "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e/base.pt");
    assert_string_equal(s[0].files[0].path, "base.pt");
    assert_true(s[0].needs_ranks && !s[0].is_folder && s[1].is_folder && !s[2].is_folder);
    assert_string_equal(s[1].files[0].url, "https://hf.example/openai/whisper-base/resolve/main/config.json");
    assert_string_equal(s[2].files[0].url,
                        "https://hf.example/ggerganov/whisper.cpp/resolve/main/ggml-base.bin");
    assert_true(is_hex(s[2].files[0].digest, 40) && s[2].same_server);
    opt.model_url = "https://mirror.example/w/";
    assert_int_equal(sources_of("multilingual.tiktoken", &opt, a, s), 1);
    assert_string_equal(s[0].files[0].url, "https://mirror.example/w/multilingual.tiktoken");
    assert_int_equal(sources_of("tiny", &opt, a, s), 3);
    assert_string_equal(s[0].files[0].url, "https://mirror.example/w/"
                                           "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9/"
                                           "tiny.pt");
    assert_int_equal(sources_of("silero-vad", &opt, a, s), 1);
    assert_string_equal(s[0].files[0].url,
                        "https://hf.example/ggml-org/whisper-vad/resolve/main/ggml-silero-v6.2.0.bin");
    assert_int_equal(sources_of("ct-punc", &opt, a, s), 2);
    assert_string_equal(s[0].list_url,
                        "https://ms.example/api/v1/models/iic/punc_ct-transformer_cn-en-common-"
                        "vocab471067-large/repo/files?Revision=master&Recursive=True");
    assert_int_equal(pn_sources(pn_catalogue_find("fsmn-vad"), "v2.0.4", &opt, a, s), 2);
    assert_string_equal(s[0].files[0].url,
                        "https://ms.example/api/v1/models/iic/speech_fsmn_vad_zh-cn-16k-common-"
                        "pytorch/repo?Revision=v2.0.4&FilePath=config.yaml");
    assert_string_equal(s[1].files[0].url, "https://hf.example/funasr/fsmn-vad/resolve/v2.0.4/config.yaml");
    pn_arena_free(a);
}

static void test_sources_without_memory(void **state)
{
    struct pn_source s[PN_SOURCES_MAX];
    struct pn_pull_options opt = options();
    size_t failures = 0;
    for (size_t limit = 0, passed = 0; !passed; limit += 64) {
        struct pn_arena *a = NULL;
        assert_int_equal(pn_arena_new(limit, &a), 0);
        int r = sources_of("base", &opt, a, s);
        passed = r == 3;
        assert_true(passed || r == -PN_ENOMEM);
        failures += !passed;
        pn_arena_free(a);
        assert_true(limit < 100000);
    }
    assert_true(failures > 3);
}

#define SHA "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void test_listing(void **state)
{
    static const char GOOD[] = "{\"Data\":{\"Files\":["
                               "{\"Path\":\"am.mvn\",\"Type\":\"tree\"},"
                               "{\"Path\":\"am.mvn\",\"Type\":\"blob\",\"Size\":7,\"Sha256\":\"" SHA "\"},"
                               "{\"Path\":\"config.yaml\",\"Sha256\":\"short\",\"Size\":-1},"
                               "{\"Path\":\"model.pt\"}]}}";
    struct pn_source s[PN_SOURCES_MAX];
    struct pn_arena *a = NULL;
    struct pn_pull_options opt = options();
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    assert_int_equal(sources_of("fsmn-vad", &opt, a, s), 2);
    assert_int_equal(pn_source_read_listing(&s[0], pn_str(GOOD), a, &err), 0);
    assert_int_equal(s[0].n, 3); /* configuration.json may be missing */
    for (size_t i = 0; i < 3; i++) {
        bool known = strcmp(s[0].files[i].path, "am.mvn") == 0;
        assert_int_equal(s[0].files[i].size, known ? 7 : -1);
        assert_true(known ? strcmp(s[0].files[i].digest, SHA) == 0 : !s[0].files[i].digest);
    }
    assert_int_equal(sources_of("fsmn-vad", &opt, a, s), 2);
    assert_int_equal(pn_source_read_listing(&s[0], PN_STR("{\"Data\":{\"Files\":[]}}"), a, &err),
                     -PN_ENOTFOUND);
    static const char OLD[] = "{\"Data\":{\"Files\":[{\"Path\":\"config.yaml\"},{\"Path\":\"am.mvn\"},"
                              "{\"Path\":\"model.pb\"}]}}";
    assert_int_equal(sources_of("fsmn-vad", &opt, a, s), 2);
    assert_int_equal(pn_source_read_listing(&s[0], pn_str(OLD), a, NULL), -PN_EUNSUPPORTED);
    pn_arena_free(a);
}

/* ---- catalogues of one's own ---- */

static void test_mirror(void **state)
{
    struct pn_mirror *m = NULL;
    write_file("c.json", "{\"models\": [{\"name\": \"base\", \"kind\": \"whisper\", \"files\": [{\"path\": "
                         "\"base.pt\", \"url\": \"https://m.example/b\", \"sha256\": \"" SHA "\"}]}]}");
    assert_int_equal(pn_mirror_read(in_dir("c.json"), &m, &err), 0);
    struct pn_pull_options opt = options();
    opt.mirror = m;
    const struct pn_catalogue_entry *e = pn_pull_find(&opt, "base");
    assert_ptr_equal(e, pn_mirror_at(m, 0));
    assert_null(pn_mirror_at(m, 1));
    assert_ptr_equal(pn_pull_find(&opt, "tiny"), pn_catalogue_find("tiny"));
    struct pn_source s[PN_SOURCES_MAX];
    struct pn_arena *a = NULL;
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    assert_int_equal(pn_sources(e, "", &opt, a, s), 1);
    assert_string_equal(s[0].files[0].url, "https://m.example/b");
    assert_string_equal(s[0].files[0].digest, SHA);
    pn_arena_free(a);
    pn_mirror_free(m);
    assert_null(pn_mirror_find(NULL, "base"));
}

static void test_refused_mirror_leaves_the_result_alone(void **state)
{
    struct pn_mirror *m = NULL;
    write_file("c.json", "{\"models\": [\n1,\n");
    assert_int_equal(pn_mirror_read(in_dir("c.json"), &m, &err), -PN_EFORMAT);
    assert_null(m);
    assert_non_null(strstr(err.text, "c.json:"));
    assert_int_equal(pn_mirror_read(in_dir("none.json"), &m, NULL), -PN_ENOTFOUND);
}

/* ---- places ---- */

static void test_locate(void **state)
{
    char path[PN_MODEL_PATH_MAX] = "untouched", small[8] = "";
    const struct pn_locate_options opt = { .model_dir = dir };
    assert_int_equal(pn_model_locate("base", &opt, path, sizeof(path), &err), -PN_ENOTFOUND);
    assert_string_equal(path, "untouched");
    assert_non_null(strstr(err.text, "pinna pull base"));
    write_file("ggml-base.bin", "x");
    assert_int_equal(pn_model_locate("base", &opt, path, sizeof(path), NULL), 0);
    assert_string_equal(path, in_dir("ggml-base.bin"));
    assert_int_equal(pn_model_locate("base", &opt, small, sizeof(small), NULL), -PN_ELIMIT);
    write_file("base.pt", "");
    assert_int_equal(pn_model_locate("base", &opt, path, sizeof(path), NULL), 0);
    assert_string_equal(path, in_dir("ggml-base.bin")); /* an empty file is no model */
    write_file("base.pt", "x");
    assert_int_equal(pn_model_locate("base", &opt, path, sizeof(path), NULL), 0);
    assert_string_equal(path, in_dir("base.pt"));
    assert_int_equal(pn_model_locate(in_dir("ggml-base.bin"), &opt, path, sizeof(path), NULL), 0);
    assert_string_equal(path, in_dir("ggml-base.bin"));
    static const char *const NONE[] = { "/none/there.pt", "none/there", "a/b/c", "../../etc/x",
                                        "huge",           "",           "..",    "owner/.." };
    for (size_t i = 0; i < PN_ARRAY_LEN(NONE); i++)
        assert_int_equal(pn_model_locate(NONE[i], &opt, path, sizeof(path), NULL), -PN_ENOTFOUND);
    const struct pn_locate_options names = { .model_dir = dir, .names_only = true };
    assert_int_equal(pn_model_locate("base", &names, path, sizeof(path), NULL), 0);
    assert_string_equal(path, in_dir("base.pt"));
    assert_int_equal(pn_model_locate(in_dir("base.pt"), &names, path, sizeof(path), NULL), -PN_ENOTFOUND);
    unlink(in_dir("base.pt"));
    unlink(in_dir("ggml-base.bin"));
}

static void test_rank_files(void **state)
{
    char path[PN_MODEL_PATH_MAX] = "";
    const struct pn_locate_options opt = { .model_dir = dir }, other = { .model_dir = "/none" };
    assert_int_equal(pn_rank_file_locate("gpt2.tiktoken", NULL, &opt, path, sizeof(path), &err),
                     -PN_ENOTFOUND);
    assert_non_null(strstr(err.text, "pinna pull gpt2.tiktoken"));
    write_file("gpt2.tiktoken", "x");
    assert_int_equal(pn_rank_file_locate("gpt2.tiktoken", NULL, &opt, path, sizeof(path), NULL), 0);
    assert_string_equal(path, in_dir("gpt2.tiktoken"));
    assert_int_equal(pn_rank_file_locate("gpt2.tiktoken", in_dir("x.pt"), &other, path, sizeof(path), NULL),
                     0);
    assert_int_equal(pn_rank_file_locate("gpt2.tiktoken", "/x.pt", &other, path, sizeof(path), NULL),
                     -PN_ENOTFOUND);
    unlink(in_dir("gpt2.tiktoken"));
}

static void test_no_home(void **state)
{
    char path[PN_MODEL_PATH_MAX] = "";
    const struct pn_locate_options none = { .model_dir = "" };
    unsetenv("HOME");
    setenv("XDG_DATA_HOME", "/data", 1);
    setenv("STATE_DIRECTORY", "/state:/other", 1);
    assert_int_equal(pn_model_dir(&none, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/state/models");
    unsetenv("STATE_DIRECTORY");
    assert_int_equal(pn_model_dir(NULL, path, sizeof(path), NULL), 0);
    assert_true(strcmp(path, "/data/pinna/models") == 0 || strcmp(path, "/var/lib/pinna/models") == 0);
    assert_int_equal(pn_model_locate("base", &none, path, sizeof(path), NULL), -PN_ENOTFOUND);
}

static int count(void *ctx, const struct pn_model_found *f)
{
    char *seen = ctx;
    snprintf(seen + strlen(seen), 200 - strlen(seen), "%s:%s:%lld ", f->name, pn_model_form_name(f->form),
             (long long)f->size);
    return 0;
}

static int stop(void *ctx, const struct pn_model_found *f)
{
    return 7;
}

static void test_list(void **state)
{
    char seen[200] = "";
    const struct pn_locate_options opt = { .model_dir = dir };
    write_file("b.pt", "12");
    write_file("ggml-a.bin", "123");
    write_file("c.pt.part", "1234");
    write_file(".hidden.pt", "1234");
    write_file("gpt2.tiktoken", "1");
    assert_int_equal(mkdir(in_dir("f"), 0700), 0);
    write_file("f/config.json", "12");
    write_file("f/model.safetensors", "345");
    assert_int_equal(mkdir(in_dir("g"), 0700), 0);
    write_file("g/config.json", "12");
    assert_int_equal(pn_models_each(&opt, count, seen, &err), 0);
    assert_string_equal(seen, "b:pt:2 f:folder:5 a:ggml:3 ");
    assert_int_equal(pn_models_each(&opt, stop, NULL, &err), 7);
    static const char *const MADE[] = {
        "b.pt",          "ggml-a.bin",    "c.pt.part",           ".hidden.pt",
        "gpt2.tiktoken", "f/config.json", "f/model.safetensors", "g/config.json"
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(MADE); i++)
        unlink(in_dir(MADE[i]));
    rmdir(in_dir("f"));
    rmdir(in_dir("g"));
}

static int begin(void **state)
{
    static const char *const NAMES[] = { "XDG_CACHE_HOME", "XDG_DATA_HOME",    "HF_HOME",
                                         "HF_HUB_CACHE",   "MODELSCOPE_CACHE", "STATE_DIRECTORY" };
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++)
        unsetenv(NAMES[i]);
    setenv("HOME", dir, 1);
    memset(&err, 0, sizeof(err));
    return 0;
}

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    unlink(in_dir("c.json"));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_entry_is_complete_and_unique, begin),
        cmocka_unit_test_setup(test_known_names, begin),
        cmocka_unit_test_setup(test_names, begin),
        cmocka_unit_test_setup(test_references, begin),
        cmocka_unit_test_setup(test_what_is_no_reference, begin),
        cmocka_unit_test_setup(test_classes, begin),
        cmocka_unit_test_setup(test_addresses, begin),
        cmocka_unit_test_setup(test_sources_without_memory, begin),
        cmocka_unit_test_setup(test_listing, begin),
        cmocka_unit_test_setup(test_mirror, begin),
        cmocka_unit_test_setup(test_refused_mirror_leaves_the_result_alone, begin),
        cmocka_unit_test_setup(test_locate, begin),
        cmocka_unit_test_setup(test_rank_files, begin),
        cmocka_unit_test_setup(test_no_home, begin),
        cmocka_unit_test_setup(test_list, begin),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
