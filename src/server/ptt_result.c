/* ptt_result.c - see ptt_result.h. */
#include "server/ptt_result.h"

#include "base/json.h"
#include "text/spoken.h"
#include "text/utf8.h"

enum { TIME_DECIMALS = 3, SCORE_DECIMALS = 4, MS_DECIMALS = 1 };

static void begin(struct pn_json *j, struct pn_buf *out, const char *type)
{
    pn_json_init(j, out);
    pn_json_begin_object(j);
    pn_json_put_cstr(j, "type", type);
}

static void end(struct pn_json *j, int64_t timestamp)
{
    pn_json_put_i64(j, "timestamp", timestamp);
    pn_json_end_object(j);
}

static void put_code(struct pn_json *j, int code, const char *message)
{
    pn_json_put_i64(j, "code", code);
    pn_json_put_str(j, "message", pn_str(message));
}

void pn_ptt_write_status(struct pn_buf *out, const char *message, const char *connection_id,
                         int64_t timestamp)
{
    struct pn_json j;
    begin(&j, out, "status");
    put_code(&j, 200, message);
    if (connection_id)
        pn_json_put_str(&j, "connection_id", pn_str(connection_id));
    end(&j, timestamp);
}

void pn_ptt_write_error(struct pn_buf *out, int code, const char *message, int retry_after_ms,
                        int64_t timestamp)
{
    struct pn_json j;
    begin(&j, out, "error");
    put_code(&j, code, message);
    if (retry_after_ms > 0) {
        pn_json_key(&j, "retry_after_ms");
        pn_json_i64(&j, retry_after_ms);
    }
    end(&j, timestamp);
}

void pn_ptt_write_partial(struct pn_buf *out, const struct pn_ptt_partial *p)
{
    struct pn_json j;
    begin(&j, out, "result");
    pn_json_put_str(&j, "mode", PN_STR("partial"));
    pn_json_put_str(&j, "text", p->text);
    pn_json_put_str(&j, "full_text", p->full_text);
    if (p->sentence) {
        pn_json_key(&j, "sentence");
        pn_json_i64(&j, (int64_t)p->sentence);
    }
    pn_json_put_fixed(&j, "confidence", p->confidence, SCORE_DECIMALS);
    pn_json_put_fixed(&j, "processing_time_ms", p->processing_ms, MS_DECIMALS);
    end(&j, p->timestamp);
}

/* ---- final results ----------------------------------------------------------------------------------- */

static size_t count_characters(struct pn_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static double mean_confidence(const struct pn_segment *segments, size_t n)
{
    double sum = 0, weights = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pn_segment *s = &segments[i];
        double weight = s->n_tokens ? (double)s->n_tokens : (double)count_characters(pn_str(s->text));
        sum += weight * s->confidence;
        weights += weight;
    }
    return weights > 0 ? sum / weights : 0;
}

static void put_segments(struct pn_json *j, const struct pn_segment *segments, size_t n)
{
    pn_json_key(j, "segments");
    pn_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        pn_json_begin_object(j);
        pn_json_put_fixed(j, "start", segments[i].start, TIME_DECIMALS);
        pn_json_put_fixed(j, "end", segments[i].end, TIME_DECIMALS);
        pn_json_put_str(j, "text", pn_utf8_strip(pn_str(segments[i].text)));
        pn_json_end_object(j);
    }
    pn_json_end_array(j);
}

static size_t put_text(struct pn_json *j, const struct pn_segment *segments, size_t n)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_PTT_FRAME_MAX);
    for (size_t i = 0; i < n; i++)
        pn_spoken_join(&b, pn_str(segments[i].text));
    struct pn_str text = pn_utf8_strip((struct pn_str){ b.ptr, b.len });
    size_t characters = count_characters(text);
    pn_json_put_str(j, "text", text);
    if (b.failed && !j->out->failed)
        j->out->failed = b.failed;
    pn_buf_done(&b);
    return characters;
}

size_t pn_ptt_write_final(struct pn_buf *out, const struct pn_ptt_final *f)
{
    static const struct pn_transcript nothing = { .language = "" };
    const struct pn_transcript *t = f->transcript ? f->transcript : &nothing;
    size_t first = f->sentence ? f->sentence->segment : 0;
    size_t n = f->sentence ? f->sentence->n_segments : t->n_segments;
    const struct pn_segment *segments = n ? t->segments + first : NULL;
    struct pn_json j;
    begin(&j, out, "final");
    size_t characters = put_text(&j, segments, n);
    put_segments(&j, segments, n);
    pn_json_put_str(&j, "language", pn_str(t->language));
    if (f->sentence) {
        pn_json_key(&j, "sentence");
        pn_json_i64(&j, f->sentence - t->sentences + 1);
    }
    pn_json_key(&j, "audio_duration_ms");
    pn_json_i64(&j, f->audio_ms);
    pn_json_put_fixed(&j, "confidence", mean_confidence(segments, n), SCORE_DECIMALS);
    pn_json_put_fixed(&j, "processing_time_ms", f->processing_ms, MS_DECIMALS);
    end(&j, f->timestamp);
    return characters;
}
