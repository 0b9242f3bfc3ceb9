/* test_server_realtime.c - the pure parts of Realtime: messages, the session object, and the text of items,
 * whose deltas must always make up the transcript. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "failing_memory.h"
#include "server/realtime_items.h"
#include "server/realtime_message.h"
#include "server/realtime_secrets.h"
#include "server/realtime_settings.h"
#include "server/realtime_turn.h"

/* ---- messages ---------------------------------------------------------------------------------------- */

static struct pn_rt_message message;
static struct pn_rt_refusal refusal;

static int parse(const char *text)
{
    pn_rt_message_done(&message);
    return pn_rt_message_parse(pn_str(text), &message, &refusal);
}

static void refused(const char *text, const char *code, const char *param)
{
    assert_true(parse(text) < 0);
    assert_string_equal(refusal.code, code);
    if (param)
        assert_string_equal(refusal.param, param);
    else
        assert_null(refusal.param);
    assert_true(refusal.err.text[0]);
}

static void test_messages(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"type\":\"input_audio_buffer.append\",\"audio\":\"AAAA\",\"event_id\":\"e\"}"),
                     0);
    assert_int_equal(message.kind, PN_RT_APPEND);
    assert_true(pn_str_is(message.audio, "AAAA"));
    assert_true(pn_str_is(message.event_id, "e"));
    assert_int_equal(parse("{\"type\":\"transcription_session.update\",\"session\":{}}"), 0);
    assert_true(message.kind == PN_RT_UPDATE && message.older && message.session);
    assert_int_equal(parse("{\"type\":\"conversation.item.delete\",\"item_id\":\"i\"}"), 0);
    assert_int_equal(message.kind, PN_RT_DELETE);
    assert_true(pn_str_is(message.item_id, "i"));
    pn_rt_message_done(&message);
}

static void test_messages_that_are_none(void **state)
{
    (void)state;
    refused("", "invalid_json", NULL);
    refused("[]", "invalid_json", NULL);
    refused("{\"type\":\"x\"", "invalid_json", NULL);
    refused("{}", "missing_required_parameter", "type");
    refused("{\"type\":7}", "invalid_type", "type");
    refused("{\"type\":\"response.create\"}", "invalid_value", "type");
    refused("{\"type\":\"session.update\"}", "missing_required_parameter", "session");
    refused("{\"type\":\"session.update\",\"session\":[]}", "invalid_type", "session");
    refused("{\"type\":\"input_audio_buffer.append\"}", "missing_required_parameter", "audio");
    refused("{\"type\":\"input_audio_buffer.append\",\"audio\":1}", "invalid_type", "audio");
    refused("{\"type\":\"conversation.item.retrieve\"}", "missing_required_parameter", "item_id");
    refused("{\"type\":\"x\",\"event_id\":\"mine\"}", "invalid_value", "type");
    assert_true(pn_str_is(message.event_id, "mine"));
    pn_rt_message_done(&message);
}

/* ---- the session object ------------------------------------------------------------------------------ */

static struct pn_rt_settings *settings;
static const char *wrong;

static int merge(const char *text)
{
    json_t *j;
    struct pn_rt_settings *new;
    struct pn_err err = { 0 };
    assert_int_equal(pn_json_object(pn_str(text), PN_JSON_MESSAGE, "test", 0, &j, &err), 0);
    int r = pn_rt_settings_merge(settings, j, &new, &wrong, &err);
    json_decref(j);
    if (r == 0) {
        pn_rt_settings_free(settings);
        settings = new;
    } else {
        assert_true(err.text[0]);
    }
    return r;
}

static int begin(void **state)
{
    (void)state;
    return pn_rt_settings_new(&settings);
}

static int end(void **state)
{
    (void)state;
    settings = pn_rt_settings_free(settings);
    return 0;
}

#define INPUT(parts) "{\"audio\":{\"input\":{" parts "}}}"

static void test_parts_stay_unless_told(void **state)
{
    (void)state;
    assert_int_equal(settings->rate, 24000);
    assert_int_equal(settings->turns.how, PN_RT_TURNS_SERVER);
    assert_int_equal(
        merge(INPUT("\"transcription\":{\"model\":\"m\",\"language\":\"Chinese\",\"delay\":\"high\","
                    "\"keywords\":[\"a b\",\"c\"]}")),
        0);
    assert_int_equal(merge(INPUT("\"transcription\":{\"prompt\":\"p\",\"delay\":\"medium\"}")), 0);
    assert_string_equal(settings->model, "m");
    assert_string_equal(settings->language, "zh");
    assert_string_equal(settings->prompt, "p");
    assert_int_equal(settings->n_keywords, 2);
    assert_string_equal(settings->keywords[0], "a b");
    assert_false(pn_rt_streams_early(settings));
    assert_int_equal(merge(INPUT("\"transcription\":{\"model\":null,\"language\":null,\"delay\":null}")), 0);
    assert_string_equal(settings->model, "");
    assert_string_equal(settings->language, "");
    assert_true(pn_rt_streams_early(settings));
}

static void test_turn_detection(void **state)
{
    (void)state;
    assert_int_equal(merge(INPUT("\"turn_detection\":{\"silence_duration_ms\":200,\"threshold\":0.7,"
                                 "\"idle_timeout_ms\":6000,\"create_response\":true}")),
                     0);
    assert_int_equal(pn_rt_silence_ms(&settings->turns), 200);
    assert_int_equal(settings->turns.prefix_padding_ms, 300);
    assert_int_equal(settings->turns.idle_timeout_ms, 6000);
    assert_int_equal(merge(INPUT("\"turn_detection\":{\"type\":\"semantic_vad\",\"eagerness\":\"low\"}")), 0);
    assert_int_equal(pn_rt_silence_ms(&settings->turns), 2000);
    assert_int_equal(merge(INPUT("\"turn_detection\":null")), 0);
    assert_int_equal(settings->turns.how, PN_RT_TURNS_CLIENT);
    assert_int_equal(merge("{\"turn_detection\":{\"type\":\"server_vad\"}}"), 0);
    assert_int_equal(pn_rt_silence_ms(&settings->turns), 500);
}

static void test_formats(void **state)
{
    (void)state;
    assert_int_equal(merge(INPUT("\"format\":{\"type\":\"audio/pcm\",\"rate\":16000}")), 0);
    assert_int_equal(pn_rt_byte_rate(settings), 32000);
    assert_int_equal(merge(INPUT("\"format\":{\"type\":\"audio/pcma\"}")), 0);
    assert_true(settings->format == PN_INTAKE_ALAW && pn_rt_byte_rate(settings) == 8000);
    assert_int_equal(merge(INPUT("\"format\":{\"type\":\"audio/pcm\"}")), 0);
    assert_int_equal(settings->rate, 24000);
    assert_int_equal(merge("{\"input_audio_format\":\"g711_ulaw\"}"), 0);
    assert_int_equal(settings->format, PN_INTAKE_ULAW);
    assert_int_equal(merge("{\"input_audio_format\":\"pcm16\"}"), 0);
    assert_int_equal(settings->format, PN_INTAKE_S16LE);
}

static void test_wrong_parts_change_nothing(void **state)
{
    static const struct {
        const char *text, *param;
    } cases[] = {
        { "{\"type\":\"x\"}", "session.type" },
        { "{\"audio\":[]}", "session.audio.input" },
        { "{\"include\":{}}", "session.include" },
        { INPUT("\"format\":{\"type\":\"audio/pcm\",\"rate\":7999}"), "session.audio.input.format" },
        { INPUT("\"format\":{\"rate\":48001}"), "session.audio.input.format" },
        { INPUT("\"format\":{\"type\":\"opus\"}"), "session.audio.input.format" },
        { INPUT("\"noise_reduction\":{\"type\":\"loud\"}"), "session.audio.input.noise_reduction" },
        { INPUT("\"transcription\":{\"language\":\"elvish\"}"), "session.audio.input.transcription" },
        { INPUT("\"transcription\":{\"languages\":[\"en\",3]}"), "session.audio.input.transcription" },
        { INPUT("\"transcription\":{\"keywords\":[\"\"]}"), "session.audio.input.transcription" },
        { INPUT("\"transcription\":{\"delay\":\"now\"}"), "session.audio.input.transcription" },
        { INPUT("\"turn_detection\":{\"threshold\":1.5}"), "session.audio.input.turn_detection" },
        { INPUT("\"turn_detection\":{\"type\":\"magic\"}"), "session.audio.input.turn_detection" },
        { INPUT("\"turn_detection\":{\"silence_duration_ms\":-1}"), "session.audio.input.turn_detection" },
        { "{\"input_audio_format\":\"mp3\"}", "session.input_audio_format" },
        { "{\"turn_detection\":7}", "session.turn_detection" },
    };
    (void)state;
    assert_int_equal(merge(INPUT("\"transcription\":{\"model\":\"m\"}")), 0);
    for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
        struct pn_rt_settings *before = settings;
        assert_int_equal(merge(cases[i].text), -PN_EINVAL);
        assert_string_equal(wrong, cases[i].param);
        assert_ptr_equal(settings, before);
    }
    assert_string_equal(settings->model, "m");
}

static void test_every_allocation_may_fail(void **state)
{
    static const char text[] =
        "{\"type\":\"session.update\",\"session\":{\"input_audio_transcription\":{"
        "\"model\":\"m\",\"prompt\":\"p\",\"languages\":[\"en\"],\"keywords\":[\"k\"]}}}";
    int r = -1;
    (void)state;
    for (long n = 0, used = 1; r < 0 || used; n++) {
        struct pn_rt_settings *new = NULL;
        struct pn_err err = { 0 };
        pn_fail_allocation = n;
        r = parse(text);
        if (r == 0)
            r = pn_rt_settings_merge(settings, message.session, &new, &wrong, &err);
        used = pn_fail_allocation < 0;
        pn_fail_allocation = -1;
        assert_true(r == 0 || !new);
        assert_true(r == 0 || refusal.err.text[0] || err.text[0]);
        pn_rt_settings_free(new);
    }
    assert_string_equal(settings->model, "");
    pn_rt_message_done(&message);
}

/* ---- the text of items ------------------------------------------------------------------------------- */

struct talk {
    struct pn_segment segments[8];
    struct pn_sentence sentences[8];
    struct pn_transcript t;
};

static struct talk new_talk(void)
{
    return (struct talk){ .t = { .language = "en", .text = "", .live_text = "" } };
}

/* A sentence whose part of the live text ends at `live_end`; final: its segment's text, NULL: not closed. */
static void say(struct talk *k, const char *live, size_t live_end, const char *final)
{
    struct pn_sentence *s = &k->sentences[k->t.n_sentences++];
    *s = (struct pn_sentence){ .end = final ? 1 : -1,
                               .closed = final,
                               .live_start = k->t.n_sentences > 1 ? s[-1].live_end : 0,
                               .live_end = live_end,
                               .segment = k->t.n_segments,
                               .n_segments = final && *final };
    if (final && *final)
        k->segments[k->t.n_segments++].text = final;
    k->t.live_text = live;
    k->t.sentences = k->sentences;
    k->t.segments = k->segments;
}

/* Appends what the turn says to `all`. */
static bool listen(struct pn_rt_turn *u, const struct talk *k, bool last, char all[128])
{
    struct pn_str delta;
    bool differs = false;
    assert_int_equal(last ? pn_rt_turn_last(u, &k->t, &delta, &differs) : pn_rt_turn_news(u, &k->t, &delta),
                     0);
    strncat(all, delta.ptr, delta.len);
    assert_int_equal(u->said.len, strlen(all));
    assert_memory_equal(u->said.len ? u->said.ptr : "", all, u->said.len);
    return differs;
}

static void test_early_text_grows_and_gets_its_mark(void **state)
{
    struct pn_rt_turn u;
    char all[128] = "";
    (void)state;
    pn_rt_turn_init(&u, 1, true);
    struct talk k = new_talk();
    say(&k, "one two", 7, "One two.");
    assert_false(listen(&u, &k, false, all));
    say(&k, "one two three", 13, NULL);
    listen(&u, &k, false, all);
    assert_string_equal(all, "three"); /* without the blank that joins it to the one before */
    k.sentences[1].live_end = 18;
    k.t.live_text = "one two three four five"; /* " five" is the next one's */
    listen(&u, &k, false, all);
    assert_string_equal(all, "three four");
    k.t.n_sentences = 1;
    k.t.n_segments = 1;
    say(&k, "one two three four five", 18, " three four.");
    assert_false(listen(&u, &k, true, all));
    assert_string_equal(all, "three four.");
    pn_rt_turn_done(&u);
}

static void test_early_text_is_never_taken_back(void **state)
{
    struct pn_rt_turn u;
    char all[128] = "";
    (void)state;
    pn_rt_turn_init(&u, 0, true);
    struct talk k = new_talk();
    say(&k, "three fore", 10, NULL);
    listen(&u, &k, false, all);
    k = new_talk();
    say(&k, "three fore five", 15, "Three, four five.");
    assert_true(listen(&u, &k, true, all));
    assert_string_equal(all, "three fore five");
    pn_rt_turn_done(&u);
}

static void test_settled_text_comes_by_sentences(void **state)
{
    struct pn_rt_turn u;
    char all[128] = "";
    (void)state;
    pn_rt_turn_init(&u, 0, false);
    u.rest = true;
    struct talk k = new_talk();
    say(&k, "one", 3, NULL);
    listen(&u, &k, false, all);
    assert_string_equal(all, "");
    k = new_talk();
    say(&k, "one", 3, " One.");
    say(&k, "one", 3, "");
    say(&k, "one two", 7, NULL);
    listen(&u, &k, false, all);
    assert_string_equal(all, "One.");
    k = new_talk();
    say(&k, "one", 3, " One.");
    say(&k, "one", 3, "");
    say(&k, "one two", 7, " Two.");
    assert_false(listen(&u, &k, true, all));
    assert_string_equal(all, "One. Two.");
    pn_rt_turn_done(&u);
}

static void test_silence_says_nothing(void **state)
{
    struct pn_rt_turn u;
    char all[128] = "";
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct talk k = new_talk();
        pn_rt_turn_init(&u, 0, early);
        u.rest = true;
        assert_false(listen(&u, &k, true, all));
        say(&k, "", 0, "");
        assert_false(listen(&u, &k, true, all));
        assert_string_equal(all, "");
        pn_rt_turn_done(&u);
    }
}

/* ---- items and keys ---------------------------------------------------------------------------------- */

static void test_the_last_items_are_kept(void **state)
{
    struct pn_rt_items items = { 0 };
    (void)state;
    assert_null(pn_rt_items_find(&items, PN_STR("")));
    for (int i = 0; i < PN_RT_ITEMS + 1; i++) {
        char id[8] = { (char)('A' + i), 0 };
        pn_rt_item_set(pn_rt_items_add(&items, id), PN_STR("text"));
    }
    assert_null(pn_rt_items_find(&items, PN_STR("A")));
    struct pn_rt_item *b = pn_rt_items_find(&items, PN_STR("B"));
    assert_string_equal(b->transcript, "text");
    pn_rt_item_remove(b);
    assert_null(pn_rt_items_find(&items, PN_STR("B")));
    pn_rt_items_done(&items);
}

static void test_keys_expire_and_make_room(void **state)
{
    struct pn_rt_secrets *s;
    char first[PN_RT_SECRET_SIZE], key[PN_RT_SECRET_SIZE];
    (void)state;
    assert_int_equal(pn_rt_secrets_new(&s), 0);
    assert_null(pn_rt_secrets_find(NULL, PN_STR("ek_1"), 0));
    for (int i = 0; i <= PN_RT_SECRETS_MAX; i++) {
        struct pn_rt_settings *mine;
        assert_int_equal(pn_rt_settings_new(&mine), 0);
        assert_int_equal(pn_rt_secrets_add(s, mine, 1000 + i, i ? key : first), 0);
        assert_ptr_equal(pn_rt_secrets_find(s, pn_str(i ? key : first), 999 + i), mine);
    }
    assert_true(pn_rt_secrets_own(pn_str(key)));
    assert_null(pn_rt_secrets_find(s, pn_str(first), 0));
    assert_null(pn_rt_secrets_find(s, pn_str(key), 1000 + PN_RT_SECRETS_MAX));
    assert_null(pn_rt_secrets_find(s, PN_STR("ek_0"), 0));
    pn_rt_secrets_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_messages_that_are_none),
        cmocka_unit_test_setup_teardown(test_parts_stay_unless_told, begin, end),
        cmocka_unit_test_setup_teardown(test_turn_detection, begin, end),
        cmocka_unit_test_setup_teardown(test_formats, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_parts_change_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_every_allocation_may_fail, begin, end),
        cmocka_unit_test(test_early_text_grows_and_gets_its_mark),
        cmocka_unit_test(test_early_text_is_never_taken_back),
        cmocka_unit_test(test_settled_text_comes_by_sentences),
        cmocka_unit_test(test_silence_says_nothing),
        cmocka_unit_test(test_the_last_items_are_kept),
        cmocka_unit_test(test_keys_expire_and_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
