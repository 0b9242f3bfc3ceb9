/* ffmpeg_decode.c - see ffmpeg_decode.h: packets of the best audio stream to frames of samples.
 *
 * Run by pinna-decode, inside its cage, in one thread; the file is hostile. What must stay true: only the
 * containers and codecs of the lists below are opened, nothing but the given descriptor is read, and memory
 * and samples are bounded. Encoder delay and padding are cut by the libraries (they need pkt_timebase). */
#include "audio/ffmpeg_decode.h"
#include "audio/ffmpeg_io.h"
#include "audio/ffmpeg_resample.h"

#include <errno.h>
#include <iconv.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/cpu.h>
#include <libavutil/log.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* No playlist, image, subtitle, raw or device format: nothing that names other files or guesses. */
static const char CONTAINERS[] =
    "wav,w64,mp3,mov,mp4,m4a,3gp,3g2,mj2,flac,ogg,matroska,webm,aac,amr,aiff,caf,au,"
    "avi,mpegts,mpeg,flv,asf";
/* Video decoders, and audio ones that none of the containers above needs, stay shut. */
static const char CODECS[] =
    "aac,aac_latm,ac3,eac3,alac,amrnb,amrwb,dca,flac,gsm,gsm_ms,ilbc,mp1float,mp2float,mp3float,mp1,mp2,mp3,"
    "nellymoser,opus,qdm2,speex,truehd,vorbis,wavpack,wmav1,wmav2,wmapro,wmalossless,wmavoice,g722,g726,g729,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,adpcm_g722,adpcm_g726,mace3,mace6,"
    "pcm_alaw,pcm_mulaw,pcm_u8,pcm_s8,pcm_u16le,pcm_u16be,pcm_s16le,pcm_s16be,pcm_u24le,pcm_u24be,pcm_s24le,"
    "pcm_s24be,pcm_u32le,pcm_u32be,pcm_s32le,pcm_s32be,pcm_s64le,pcm_s64be,pcm_f32le,pcm_f32be,pcm_f64le,"
    "pcm_f64be,pcm_bluray,pcm_dvd,pcm_lxf,s302m";
static const char READABLE[] =
    "wav, mp3, m4a, mp4, mov, flac, ogg, opus, webm, mkv, aac, amr, aiff, caf, avi, "
    "mpeg, flv and wma are read";

enum {
    MAX_STREAMS = 64,
    PROBE_BYTES = 5000000, /* the libraries' own default, made explicit */
    MAX_RETRIES = 1000,    /* a demuxer that says "again" and does not move */
};

struct decode {
    const struct pn_decode_source *src;
    struct pn_file_io *io;
    AVFormatContext *fmt;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    AVStream *stream;
    struct pn_resampler *resampler;
    int last_av; /* the latest error of the libraries, 0 if none */
};

/* The libraries' latest complaint. The process decodes one file in one thread. */
static char last_log[120];

static void PN_PRINTF(3, 0) keep_log(void *avcl, int level, const char *fmt, va_list ap)
{
    if (level > AV_LOG_ERROR)
        return;
    vsnprintf(last_log, sizeof(last_log), fmt, ap);
    last_log[strcspn(last_log, "\r\n")] = '\0';
}

/* In place of the C library's, for libavformat: names of programmes in MPEG streams would be converted by
 * tables that lie in files, which the cage forbids. Nobody here reads those names. */
iconv_t iconv_open(const char *to, const char *from)
{
    errno = EINVAL;
    return (iconv_t)-1;
}

void pn_ffmpeg_warm_up(void)
{
    av_log_set_callback(keep_log);
    av_get_cpu_flags();
    tzset(); /* reads the time zone file, which gmtime_r() would do at the first date in a file */
    struct tm tm;
    time_t zero = 0;
    gmtime_r(&zero, &tm);
}

/* What a failure of the libraries means to the asker. */
static int fail_av(const struct decode *d, int av, struct pn_err *err)
{
    if (strstr(last_log, "max_streams"))
        return pn_fail(err, PN_ELIMIT, "more than %d streams in the file", MAX_STREAMS);
    if (av == AVERROR(ENOMEM))
        return pn_fail(err, PN_ELIMIT, "decoding needs more than the %lld MB of memory that are allowed",
                       (long long)d->src->memory_mb);
    if (pn_file_io_errno(d->io) != 0)
        return pn_fail(err, PN_EIO, "cannot read the file: %s", strerrordesc_np(pn_file_io_errno(d->io)));
    return pn_fail(err, PN_EFORMAT, "not audio that can be decoded; %s", READABLE);
}

/* Playlists and references would come here. */
static int refuse_open(AVFormatContext *s, AVIOContext **pb, const char *url, int flags,
                       AVDictionary **options)
{
    return AVERROR(EPERM);
}

static void discard_all_but_audio(AVFormatContext *fmt)
{
    for (unsigned i = 0; i < fmt->nb_streams; i++)
        if (fmt->streams[i]->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
            fmt->streams[i]->discard = AVDISCARD_ALL;
}

static int open_container(struct decode *d, struct pn_err *err)
{
    d->fmt = avformat_alloc_context();
    int r = d->fmt ? pn_file_io_open(d->src->fd, d->src->size, &d->io) : -PN_ENOMEM;
    if (r < 0)
        return fail_av(d, AVERROR(ENOMEM), err);
    d->fmt->pb = pn_file_io_context(d->io);
    d->fmt->io_open = refuse_open;
    d->fmt->max_streams = MAX_STREAMS;
    d->fmt->probesize = PROBE_BYTES;
    d->fmt->format_whitelist = av_strdup(CONTAINERS);
    d->fmt->codec_whitelist = av_strdup(CODECS);
    d->fmt->protocol_whitelist = av_strdup("");
    if (!d->fmt->format_whitelist || !d->fmt->codec_whitelist || !d->fmt->protocol_whitelist)
        return fail_av(d, AVERROR(ENOMEM), err);
    r = avformat_open_input(&d->fmt, NULL, NULL, NULL);
    if (r >= 0) {
        discard_all_but_audio(d->fmt);
        r = avformat_find_stream_info(d->fmt, NULL);
    }
    return r < 0 ? fail_av(d, r, err) : 0;
}

static int open_codec(struct decode *d, struct pn_err *err)
{
    const AVCodec *codec = NULL;
    int index = av_find_best_stream(d->fmt, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (index < 0)
        return pn_fail(err, PN_EFORMAT, "no audio that can be decoded in the file (%s)",
                       d->fmt->iformat->name);
    d->stream = d->fmt->streams[index];
    for (unsigned i = 0; i < d->fmt->nb_streams; i++)
        if ((int)i != index)
            d->fmt->streams[i]->discard = AVDISCARD_ALL;
    d->codec = avcodec_alloc_context3(codec);
    int r = d->codec ? avcodec_parameters_to_context(d->codec, d->stream->codecpar) : AVERROR(ENOMEM);
    if (r < 0)
        return fail_av(d, r, err);
    d->codec->thread_count = 1;
    d->codec->pkt_timebase = d->stream->time_base;
    d->codec->codec_whitelist = av_strdup(CODECS);
    r = d->codec->codec_whitelist ? avcodec_open2(d->codec, codec, NULL) : AVERROR(ENOMEM);
    return r < 0 ? fail_av(d, r, err) : 0;
}

/* Uncompressed audio cannot last longer than its bytes do; recorders that write into a pipe leave sizes like
 * 0x7fffffff in the header. */
static double longest(const struct decode *d)
{
    const AVCodecParameters *par = d->stream->codecpar;
    double bits =
        (double)av_get_exact_bits_per_sample(par->codec_id) * par->sample_rate * par->ch_layout.nb_channels;
    return bits > 0 ? (double)d->src->size * 8 / bits : HUGE_VAL;
}

static double claimed_duration(const struct decode *d)
{
    const AVStream *s = d->stream;
    if (s->duration != AV_NOPTS_VALUE && s->duration >= 0)
        return (double)s->duration * av_q2d(s->time_base);
    if (d->fmt->duration != AV_NOPTS_VALUE && d->fmt->duration >= 0)
        return (double)d->fmt->duration / AV_TIME_BASE;
    return -1;
}

/* Seconds by the container's word; -1 when it has none. *ret_guess: reckoned from the bit rate. */
static double duration_of(const struct decode *d, bool *ret_guess)
{
    *ret_guess = d->fmt->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE;
    double claimed = claimed_duration(d), most = longest(d);
    return PN_MIN(claimed, most);
}

static int tell_info(const struct decode *d, const struct pn_decode_sink *sink, struct pn_err *err)
{
    struct pn_decoder_info info = { .rate = d->codec->sample_rate,
                                    .channels = d->codec->ch_layout.nb_channels };
    bool guess;
    info.duration_s = duration_of(d, &guess);
    snprintf(info.format, sizeof(info.format), "%s", d->fmt->iformat->name);
    snprintf(info.codec, sizeof(info.codec), "%s", d->codec->codec->name);
    if (!guess && info.duration_s > (double)d->src->max_samples / PN_SAMPLE_RATE)
        return pn_fail(err, PN_ELIMIT, "the file says it holds %.0f seconds of audio; %.0f are allowed",
                       info.duration_s, (double)d->src->max_samples / PN_SAMPLE_RATE);
    return sink->info(sink->ctx, &info);
}

/* One packet's (or, with NULL, the last delayed) frames. Bytes that cannot be decoded are skipped. */
static int decode_packet(struct decode *d, const AVPacket *packet, struct pn_err *err)
{
    int av = avcodec_send_packet(d->codec, packet);
    if (av < 0)
        d->last_av = av;
    for (int errors = 0; errors < MAX_RETRIES;) {
        av = avcodec_receive_frame(d->codec, d->frame);
        if (av == AVERROR(EAGAIN) || av == AVERROR_EOF)
            return 0;
        if (av < 0) {
            d->last_av = av;
            errors++;
            continue;
        }
        int r = pn_resampler_frame(d->resampler, d->frame, err);
        av_frame_unref(d->frame);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The packets of the stream up to the end, or to where the container is too damaged to go on. */
static int decode_stream(struct decode *d, struct pn_err *err)
{
    int r = 0;
    for (int again = 0; r >= 0 && again < MAX_RETRIES;) {
        int av = av_read_frame(d->fmt, d->packet);
        if (av == AVERROR(EAGAIN)) {
            again++;
            continue;
        }
        if (av < 0) {
            d->last_av = av == AVERROR_EOF ? d->last_av : av;
            break;
        }
        again = 0;
        if (d->packet->stream_index == d->stream->index)
            r = decode_packet(d, d->packet, err);
        av_packet_unref(d->packet);
    }
    if (r >= 0)
        r = decode_packet(d, NULL, err);
    return r < 0 ? r : pn_resampler_flush(d->resampler, err);
}

static int decode_open(struct decode *d, const struct pn_decode_sink *sink, struct pn_err *err)
{
    last_log[0] = '\0';
    av_max_alloc((size_t)d->src->memory_mb << 20);
    int r = open_container(d, err);
    if (r == 0)
        r = open_codec(d, err);
    if (r == 0)
        r = tell_info(d, sink, err);
    if (r < 0)
        return r;
    d->packet = av_packet_alloc();
    d->frame = av_frame_alloc();
    r = d->packet && d->frame ? pn_resampler_new(sink, d->src->max_samples, &d->resampler) : -PN_ENOMEM;
    return r < 0 ? fail_av(d, AVERROR(ENOMEM), err) : 0;
}

static void decode_done(struct decode *d)
{
    pn_resampler_free(d->resampler);
    av_frame_free(&d->frame);
    av_packet_free(&d->packet);
    avcodec_free_context(&d->codec);
    avformat_close_input(&d->fmt);
    pn_file_io_close(d->io);
}

int pn_ffmpeg_decode(const struct pn_decode_source *src, const struct pn_decode_sink *sink,
                     int64_t *ret_samples, struct pn_err *err)
{
    struct decode d = { .src = src };
    int r = decode_open(&d, sink, err);
    if (r == 0)
        r = decode_stream(&d, err);
    int64_t samples = d.resampler ? pn_resampler_samples(d.resampler) : 0;
    if (r == 0 && pn_file_io_errno(d.io) != 0)
        r = fail_av(&d, AVERROR(EIO), err);
    if (r == 0 && samples == 0)
        r = d.last_av ? fail_av(&d, d.last_av, err) : pn_fail(err, PN_EFORMAT, "no audio in the file");
    if (r == 0)
        *ret_samples = samples;
    decode_done(&d);
    return r;
}
