/* transcribe.c - a program that uses libpinna: a recording to text, at once or as a stream.
 *
 *     ffmpeg -i talk.mp3 -f f32le -ar 16000 -ac 1 talk.f32
 *     transcribe [--stream] MODEL talk.f32 [LANGUAGE]
 *
 * MODEL is a name that `pinna models` lists or the path of a checkpoint. */
#include <pinna.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = PINNA_SAMPLE_RATE / 10 };

/* All of a file of raw samples; NULL when that fails. */
static float *read_samples(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0, room = 0, got = 0;
    float *pcm = NULL;
    do {
        if (n == room) {
            room = room ? 2 * room : 1 << 16;
            float *more = f ? realloc(pcm, room * sizeof(*pcm)) : NULL;
            if (!more) {
                free(pcm);
                pcm = NULL;
                break;
            }
            pcm = more;
        }
        got = fread(pcm + n, sizeof(*pcm), room - n, f);
        n += got;
    } while (got > 0);
    if (f)
        fclose(f);
    *ret_n = n;
    return pcm;
}

static void print_result(const struct pinna_result *r)
{
    for (size_t i = 0; i < pinna_result_segments(r); i++) {
        struct pinna_segment s = { .size = sizeof(s) };
        if (pinna_result_segment(r, i, &s) == 0)
            printf("%8.2f %8.2f %s\n", s.start, s.end, s.text);
    }
    printf("%s [%s, %.1f s]\n", pinna_result_text(r), pinna_result_language(r), pinna_result_duration(r));
}

/* Feeds a tenth of a second at a time, as a microphone would, and shows what is known meanwhile. */
static int stream(struct pinna_model *model, const struct pinna_options *opt, const float *pcm, size_t n,
                  struct pinna_result **ret, struct pinna_error *err)
{
    struct pinna_stream *s;
    int r = pinna_stream_open(model, opt, &s, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r >= 0; i += SLICE) {
        size_t len = n - i < SLICE ? n - i : SLICE;
        struct pinna_result *partial = NULL;
        r = pinna_stream_feed(s, pcm + i, len, -1) < 0 ? -1 : pinna_stream_result(s, 0, &partial);
        if (partial)
            fprintf(stderr, "\r%s", pinna_result_text(partial));
        pinna_result_free(partial);
    }
    if (r >= 0)
        r = pinna_stream_finish(s);
    if (r >= 0)
        r = pinna_stream_result(s, -1, ret);
    if (r < 0)
        snprintf(err->text, sizeof(err->text), "%s", pinna_stream_error(s));
    fprintf(stderr, "\n");
    pinna_stream_close(s);
    return r;
}

int main(int argc, char **argv)
{
    int streaming = argc > 1 && strcmp(argv[1], "--stream") == 0;
    char **args = argv + 1 + streaming;
    if (argc - streaming < 3) {
        fprintf(stderr, "usage: %s [--stream] MODEL FILE.f32 [LANGUAGE]\n", argv[0]);
        return 2;
    }
    size_t n = 0;
    float *pcm = read_samples(args[1], &n);
    if (!pcm) {
        perror(args[1]);
        return 1;
    }
    struct pinna_error err = { 0 };
    struct pinna_model *model = NULL;
    struct pinna_result *result = NULL;
    struct pinna_options opt = { .size = sizeof(opt), .language = args[2] };
    int r = pinna_model_open(args[0], NULL, &model, &err);
    if (r >= 0)
        r = streaming ? stream(model, &opt, pcm, n, &result, &err)
                      : pinna_transcribe(model, &opt, pcm, n, &result, &err);
    if (r >= 0)
        print_result(result);
    else
        fprintf(stderr, "%s: %s\n", argv[0], err.text);
    pinna_result_free(result);
    pinna_model_close(model);
    free(pcm);
    return r >= 0 ? 0 : 1;
}
