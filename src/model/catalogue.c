/* catalogue.c - see catalogue.h. Whisper's SHA-256 sums are OpenAI's (they are in the addresses, too), the
 * SHA-1 sums whisper.cpp's; sizes are those of the weights at 16 bits (Whisper) and 32 (FunASR's). */
#include "model/catalogue.h"

#include "base/error.h"

#include <string.h>

static const char *const WHISPER_FOLDER[] = {
    "config.json",     "vocab.json",         "?generation_config.json", "?merges.txt",
    "?tokenizer.json", "?added_tokens.json", "model.safetensors",       NULL
};
static const char *const PARAFORMER_FOLDER[] = { "config.yaml",         "tokens.json", "am.mvn", "?seg_dict",
                                                 "?configuration.json", "model.pt",    NULL };
static const char *const VAD_FOLDER[] = { "config.yaml", "am.mvn", "?configuration.json", "model.pt", NULL };
static const char *const PUNCTUATION_FOLDER[] = {
    "config.yaml", "tokens.json", "?jieba_usr_dict", "?jieba.c.dict", "?configuration.json", "model.pt", NULL
};
const char *const pn_funasr_folder[] = {
    "config.yaml", "?configuration.json", "?tokens.json",  "?tokens.txt", "?am.mvn",
    "?seg_dict",   "?jieba_usr_dict",     "?jieba.c.dict", "model.pt",    NULL
};

static const struct pn_model_file SILERO[] = {
    { "ggml-silero-vad.bin",
      "https://huggingface.co/ggml-org/whisper-vad/resolve/main/ggml-silero-v6.2.0.bin",
      "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987", 885098 },
};
static const struct pn_model_file MULTILINGUAL[] = {
    { "multilingual.tiktoken",
      "https://raw.githubusercontent.com/openai/whisper/main/whisper/assets/multilingual.tiktoken",
      "b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126", 816730 },
};
static const struct pn_model_file GPT2[] = {
    { "gpt2.tiktoken", "https://raw.githubusercontent.com/openai/whisper/main/whisper/assets/gpt2.tiktoken",
      "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930", 835554 },
};

#define WHISPER(name_, alias_, languages_, ranks_, hf, size_, sha256_, sha1_)                             \
    {                                                                                                     \
        .name = name_, .alias = alias_, .kind = PN_MODEL_WHISPER, .languages = languages_, .size = size_, \
        .sha256 = sha256_, .sha1 = sha1_, .ranks = ranks_, .hugging_face = "openai/whisper-" hf,          \
        .folder = WHISPER_FOLDER                                                                          \
    }
#define ENGLISH(name, size, sha256, sha1) WHISPER(name, NULL, "en", "gpt2.tiktoken", name, size, sha256, sha1)
#define MULTI(name, size, sha256, sha1) \
    WHISPER(name, NULL, "99 languages", "multilingual.tiktoken", name, size, sha256, sha1)
#define MULTI_100(name, alias, size, sha256, sha1) \
    WHISPER(name, alias, "100 languages", "multilingual.tiktoken", name, size, sha256, sha1)
#define QUANTISED(name_, languages_, size_, sha1_)                                                     \
    {                                                                                                  \
        .name = name_, .kind = PN_MODEL_WHISPER, .languages = languages_, .size = size_, .sha1 = sha1_ \
    }
#define FUNASR(name_, alias_, kind_, languages_, size_, repository, hf, folder_)               \
    {                                                                                          \
        .name = name_, .alias = alias_, .kind = kind_, .languages = languages_, .size = size_, \
        .modelscope = "iic/" repository, .hugging_face = hf, .folder = folder_                 \
    }
#define PARAFORMER(name, alias, languages, size, repository, hf) \
    FUNASR(name, alias, PN_MODEL_PARAFORMER, languages, size, repository, hf, PARAFORMER_FOLDER)
#define PUNCTUATION(name, languages, size, repository, hf) \
    FUNASR(name, NULL, PN_MODEL_PUNCTUATION, languages, size, repository, hf, PUNCTUATION_FOLDER)
#define FILES(name_, kind_, languages_, size_, files_)                                         \
    {                                                                                          \
        .name = name_, .kind = kind_, .languages = languages_, .size = size_, .files = files_, \
        .n_files = PN_ARRAY_LEN(files_)                                                        \
    }

static const struct pn_catalogue_entry CATALOGUE[] = {
    MULTI("tiny", 75521280, "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
          "bd577a113a864445d4c299885e0cb97d4ba92b5f"),
    ENGLISH("tiny.en", 75520512, "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
            "c78c86eb1a8faa21b369bcd33207cc90d64ae9df"),
    MULTI("base", 145187840, "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
          "465707469ff3a37a2b9b8d8f89f2f99de7299dac"),
    ENGLISH("base.en", 145186816, "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead",
            "137c40403d78fd54d454da0f9bd998f78703390c"),
    MULTI("small", 483469824, "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
          "55356645c2b361a969dfd0ef2c5a50d530afd8d5"),
    ENGLISH("small.en", 483468288, "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872",
            "db8a495a91d927739e50b3fc1cc4c6b8f6c2d022"),
    MULTI("medium", 1527715840, "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
          "fd9727b6e1217c2f614f9b698455c4ffd82463b4"),
    ENGLISH("medium.en", 1527713792, "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
            "8c30f0e44ce9560643ebd10bbe50cd20eafd3723"),
    WHISPER("large-v1", NULL, "99 languages", "multilingual.tiktoken", "large", 3086609920,
            "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
            "b1caaf735c4cc1429223d5a74f0f4d0b9b59a299"),
    MULTI("large-v2", 3086609920, "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
          "0f4c8e34f21cf1a914c59d8b3ce882345ad349d6"),
    MULTI_100("large-v3", "large", 3086981120,
              "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
              "ad82bf6a9043ceed055076d0fd39f5f186ff8062"),
    MULTI_100("large-v3-turbo", "turbo", 1617756160,
              "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
              "4af2b29d7ec73d781377bfd1758ca957a807e941"),
    QUANTISED("large-v2-q5_0", "99 languages", 1081000000, "00e39f2196344e901b3a2bd5814807a769bd1630"),
    QUANTISED("large-v3-q5_0", "100 languages", 1081000000, "e6e2ed78495d403bef4b7cff42ef4aaadcfea8de"),
    QUANTISED("large-v3-turbo-q5_0", "100 languages", 574000000, "e050f7970618a659205450ad97eb95a18d69c9ee"),
    /* The first of a repository is the one that it is named after. */
    PARAFORMER("paraformer-zh", NULL, "zh, en", 989000000,
               "speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch",
               "funasr/paraformer-zh"),
    PARAFORMER("paraformer", NULL, "zh, en", 880000000,
               "speech_paraformer-large_asr_nat-zh-cn-16k-common-vocab8404-pytorch", NULL),
    PARAFORMER("paraformer-zh-streaming", NULL, "zh, en", 880000000,
               "speech_paraformer-large_asr_nat-zh-cn-16k-common-vocab8404-online",
               "funasr/paraformer-zh-streaming"),
    PARAFORMER("paraformer-zh-streaming-small", NULL, "zh, en", 272000000,
               "speech_paraformer_asr_nat-zh-cn-16k-common-vocab8404-online", NULL),
    PARAFORMER("paraformer-en", "paraformer-en-spk", "en", 880000000,
               "speech_paraformer-large-vad-punc_asr_nat-en-16k-common-vocab10020", "funasr/paraformer-en"),
    FUNASR("fsmn-vad", NULL, PN_MODEL_VAD, "any", 1700000, "speech_fsmn_vad_zh-cn-16k-common-pytorch",
           "funasr/fsmn-vad", VAD_FOLDER),
    PUNCTUATION("ct-punc", "zh, en", 1130000000, "punc_ct-transformer_cn-en-common-vocab471067-large",
                "funasr/ct-punc"),
    PUNCTUATION("ct-punc-c", "zh, en", 290000000, "punc_ct-transformer_zh-cn-common-vocab272727-pytorch",
                NULL),
    PUNCTUATION("ct-punc-realtime", "zh, en", 290000000,
                "punc_ct-transformer_zh-cn-common-vad_realtime-vocab272727", NULL),
    FILES("silero-vad", PN_MODEL_VAD, "any", 885098, SILERO),
    FILES("multilingual.tiktoken", PN_MODEL_VOCABULARY, "99 languages", 816730, MULTILINGUAL),
    FILES("gpt2.tiktoken", PN_MODEL_VOCABULARY, "en", 835554, GPT2),
};

static const char *const KINDS[] = {
    [PN_MODEL_WHISPER] = "whisper",         [PN_MODEL_PARAFORMER] = "paraformer", [PN_MODEL_VAD] = "vad",
    [PN_MODEL_PUNCTUATION] = "punctuation", [PN_MODEL_VOCABULARY] = "vocabulary",
};

const struct pn_catalogue_entry *pn_catalogue_at(size_t i)
{
    return i < PN_ARRAY_LEN(CATALOGUE) ? &CATALOGUE[i] : NULL;
}

const struct pn_catalogue_entry *pn_catalogue_find(const char *name)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(CATALOGUE); i++)
        if (strcmp(CATALOGUE[i].name, name) == 0 ||
            (CATALOGUE[i].alias && strcmp(CATALOGUE[i].alias, name) == 0))
            return &CATALOGUE[i];
    return NULL;
}

const struct pn_catalogue_entry *pn_catalogue_find_repository(const char *repository)
{
    static const char OLD[] = "damo/", OWNER[] = "iic/";
    bool old = strncmp(repository, OLD, strlen(OLD)) == 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(CATALOGUE); i++) {
        const struct pn_catalogue_entry *e = &CATALOGUE[i];
        if (e->modelscope && (strcmp(e->modelscope, repository) == 0 ||
                              (old && strcmp(e->modelscope + strlen(OWNER), repository + strlen(OLD)) == 0) ||
                              (e->hugging_face && strcmp(e->hugging_face, repository) == 0)))
            return e;
    }
    return NULL;
}

const char *pn_catalogue_hint(const char *name)
{
    if (strcmp(name, "paraformer-en-streaming") == 0)
        return "no hub has a model 'paraformer-en-streaming': name a repository (OWNER/NAME) or a folder "
               "instead";
    return NULL;
}

const char *pn_model_kind_name(enum pn_model_kind kind)
{
    return KINDS[kind];
}

int pn_model_kind_parse(const char *name, enum pn_model_kind *ret)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(KINDS); i++)
        if (strcmp(KINDS[i], name) == 0) {
            *ret = (enum pn_model_kind)i;
            return 0;
        }
    return -PN_EINVAL;
}

int pn_model_kind_of_class(const char *class, enum pn_model_kind *ret)
{
    static const struct {
        const char *class;
        enum pn_model_kind kind;
    } CLASSES[] = {
        { "Paraformer", PN_MODEL_PARAFORMER },
        { "BiCifParaformer", PN_MODEL_PARAFORMER },
        { "SeacoParaformer", PN_MODEL_PARAFORMER },
        { "ParaformerStreaming", PN_MODEL_PARAFORMER },
        { "FsmnVADStreaming", PN_MODEL_VAD },
        { "CTTransformer", PN_MODEL_PUNCTUATION },
        { "CTTransformerStreaming", PN_MODEL_PUNCTUATION },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CLASSES); i++)
        if (strcmp(CLASSES[i].class, class) == 0) {
            *ret = CLASSES[i].kind;
            return 0;
        }
    return -PN_EUNSUPPORTED;
}

bool pn_model_name_ok(const char *name)
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@";
    size_t n = strlen(name);
    return n > 0 && n <= PN_MODEL_NAME_MAX && name[0] != '.' && name[0] != '-' && name[0] != '@' &&
           strspn(name, ALLOWED) == n;
}
