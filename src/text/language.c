/* language.c - Whisper's languages as one table in the order of its token ids, and the names people use for
 * them. Constant data, pure functions, any thread. */
#include "text/language.h"

#include <strings.h>

struct language {
    const char *code, *name;
};

/* Source: the list that Whisper's vocabularies were trained with; the last one came with large-v3. */
static const struct language LANGUAGES[] = {
    { "en", "english" },        { "zh", "chinese" },     { "de", "german" },        { "es", "spanish" },
    { "ru", "russian" },        { "ko", "korean" },      { "fr", "french" },        { "ja", "japanese" },
    { "pt", "portuguese" },     { "tr", "turkish" },     { "pl", "polish" },        { "ca", "catalan" },
    { "nl", "dutch" },          { "ar", "arabic" },      { "sv", "swedish" },       { "it", "italian" },
    { "id", "indonesian" },     { "hi", "hindi" },       { "fi", "finnish" },       { "vi", "vietnamese" },
    { "he", "hebrew" },         { "uk", "ukrainian" },   { "el", "greek" },         { "ms", "malay" },
    { "cs", "czech" },          { "ro", "romanian" },    { "da", "danish" },        { "hu", "hungarian" },
    { "ta", "tamil" },          { "no", "norwegian" },   { "th", "thai" },          { "ur", "urdu" },
    { "hr", "croatian" },       { "bg", "bulgarian" },   { "lt", "lithuanian" },    { "la", "latin" },
    { "mi", "maori" },          { "ml", "malayalam" },   { "cy", "welsh" },         { "sk", "slovak" },
    { "te", "telugu" },         { "fa", "persian" },     { "lv", "latvian" },       { "bn", "bengali" },
    { "sr", "serbian" },        { "az", "azerbaijani" }, { "sl", "slovenian" },     { "kn", "kannada" },
    { "et", "estonian" },       { "mk", "macedonian" },  { "br", "breton" },        { "eu", "basque" },
    { "is", "icelandic" },      { "hy", "armenian" },    { "ne", "nepali" },        { "mn", "mongolian" },
    { "bs", "bosnian" },        { "kk", "kazakh" },      { "sq", "albanian" },      { "sw", "swahili" },
    { "gl", "galician" },       { "mr", "marathi" },     { "pa", "punjabi" },       { "si", "sinhala" },
    { "km", "khmer" },          { "sn", "shona" },       { "yo", "yoruba" },        { "so", "somali" },
    { "af", "afrikaans" },      { "oc", "occitan" },     { "ka", "georgian" },      { "be", "belarusian" },
    { "tg", "tajik" },          { "sd", "sindhi" },      { "gu", "gujarati" },      { "am", "amharic" },
    { "yi", "yiddish" },        { "lo", "lao" },         { "uz", "uzbek" },         { "fo", "faroese" },
    { "ht", "haitian creole" }, { "ps", "pashto" },      { "tk", "turkmen" },       { "nn", "nynorsk" },
    { "mt", "maltese" },        { "sa", "sanskrit" },    { "lb", "luxembourgish" }, { "my", "myanmar" },
    { "bo", "tibetan" },        { "tl", "tagalog" },     { "mg", "malagasy" },      { "as", "assamese" },
    { "tt", "tatar" },          { "haw", "hawaiian" },   { "ln", "lingala" },       { "ha", "hausa" },
    { "ba", "bashkir" },        { "jw", "javanese" },    { "su", "sundanese" },     { "yue", "cantonese" },
};

/* Other English names that Whisper accepts. */
static const struct language ALIASES[] = {
    { "my", "burmese" },       { "ca", "valencian" }, { "nl", "flemish" },   { "ht", "haitian" },
    { "lb", "letzeburgesch" }, { "ps", "pushto" },    { "pa", "panjabi" },   { "ro", "moldavian" },
    { "ro", "moldovan" },      { "si", "sinhalese" }, { "es", "castilian" }, { "zh", "mandarin" },
};

static const char *find_code(struct pn_str code)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(LANGUAGES); i++)
        if (pn_str_ieq(code, pn_str(LANGUAGES[i].code)))
            return LANGUAGES[i].code;
    return NULL;
}

static const char *find_name(const struct language *list, size_t n, struct pn_str name)
{
    for (size_t i = 0; i < n; i++)
        if (pn_str_ieq(name, pn_str(list[i].name)))
            return list[i].code;
    return NULL;
}

/* "zh" of "zh-CN" or "zh_Hans_CN"; the whole slice when it has no subtags. */
static struct pn_str primary_subtag(struct pn_str tag)
{
    size_t len = 0;
    while (len < tag.len && tag.ptr[len] != '-' && tag.ptr[len] != '_')
        len++;
    return (struct pn_str){ tag.ptr, len };
}

const char *pn_language_code(struct pn_str name)
{
    name = pn_str_trim(name);
    if (name.len == 0 || pn_str_ieq(name, PN_STR("auto")))
        return "";
    const char *code = find_code(primary_subtag(name));
    if (!code)
        code = find_name(LANGUAGES, PN_ARRAY_LEN(LANGUAGES), name);
    if (!code)
        code = find_name(ALIASES, PN_ARRAY_LEN(ALIASES), name);
    return code;
}

int pn_language_index(const char *code)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(LANGUAGES); i++)
        if (strcasecmp(LANGUAGES[i].code, code) == 0)
            return (int)i;
    return -1;
}

const char *pn_language_at(int index)
{
    return index >= 0 && (size_t)index < PN_ARRAY_LEN(LANGUAGES) ? LANGUAGES[index].code : NULL;
}

const char *pn_language_name(const char *code)
{
    int i = pn_language_index(code);
    return i >= 0 ? LANGUAGES[i].name : NULL;
}
