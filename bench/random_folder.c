/* random_folder.c - tokens are Chinese characters in the order of their code points, then pairs of them. */
#include "random_folder.h"

#include "base/buf.h"
#include "base/splitmix.h"

#include <stdio.h>

enum { FIRST_CHARACTER = 0x4e00, CHARACTERS = 20000, MAX_TEXT = 64 << 20 };

typedef void (*text_fn)(struct pn_buf *b, const struct pn_random_sizes *z, uint64_t seed);

static bool recognises(const struct pn_random_sizes *z)
{
    return z->kind <= PN_RANDOM_STREAMING;
}

static void add_character(struct pn_buf *b, int i)
{
    const int c = FIRST_CHARACTER + i % CHARACTERS;
    const char utf8[] = { (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63)) };
    pn_buf_append(b, utf8, sizeof(utf8));
}

static void add_token(struct pn_buf *b, const struct pn_random_sizes *z, int id)
{
    static const char *const FIRST[] = { "<blank>", "<s>", "</s>" };
    if (id < (int)PN_ARRAY_LEN(FIRST)) {
        pn_buf_puts(b, FIRST[id]);
    } else if (id == z->vocabulary - 1) {
        pn_buf_puts(b, "<unk>");
    } else {
        const int i = id - (int)PN_ARRAY_LEN(FIRST);
        if (i >= CHARACTERS)
            add_character(b, i / CHARACTERS);
        add_character(b, i);
    }
}

static void tokens(struct pn_buf *b, const struct pn_random_sizes *z, uint64_t seed)
{
    pn_buf_puts(b, "[\n");
    for (int id = 0; id < z->vocabulary; id++) {
        pn_buf_putc(b, '"');
        add_token(b, z, id);
        pn_buf_puts(b, id + 1 < z->vocabulary ? "\",\n" : "\"\n]\n");
    }
}

static void seg_dict(struct pn_buf *b, const struct pn_random_sizes *z, uint64_t seed)
{
    for (int id = 3; id + 1 < z->vocabulary; id++) {
        add_token(b, z, id);
        pn_buf_putc(b, ' ');
        add_token(b, z, id);
        pn_buf_putc(b, '\n');
    }
}

/* Speech's mean and spread, a little different in every bin. */
static void am_mvn(struct pn_buf *b, const struct pn_random_sizes *z, uint64_t seed)
{
    static const struct {
        const char *tag;
        double from, step;
    } PARTS[] = { { "AddShift", -9, -5.0 / 256 }, { "Rescale", 0.15, 0.02 / 256 } };
    const int n = recognises(z) ? PN_RANDOM_INPUT : PN_RANDOM_VAD_INPUT;
    pn_buf_printf(b, "<Nnet> \n<Splice> %d %d\n[ 0 ]\n", n, n);
    for (size_t part = 0; part < PN_ARRAY_LEN(PARTS); part++) {
        pn_buf_printf(b, "<%s> %d %d \n<LearnRateCoef> 0 [ ", PARTS[part].tag, n, n);
        for (int i = 0; i < n; i++)
            pn_buf_printf(b, "%.6f ",
                          PARTS[part].from + PARTS[part].step * (double)(pn_splitmix64(&seed) >> 56));
        pn_buf_puts(b, "]\n");
    }
    pn_buf_puts(b, "</Nnet> \n");
}

static void config_frontend(struct pn_buf *b, bool online, int m, int n)
{
    pn_buf_printf(
        b,
        "frontend: %s\nfrontend_conf:\n    fs: 16000\n    window: hamming\n    n_mels: 80\n"
        "    frame_length: 25\n    frame_shift: 10\n    lfr_m: %d\n    lfr_n: %d\n    dither: 0.0\n",
        online ? "WavFrontendOnline" : "WavFrontend", m, n);
}

static void config_decoder(struct pn_buf *b, const char *owner, const struct pn_random_sizes *z, bool seaco)
{
    pn_buf_printf(b,
                  "%s: ParaformerSANMDecoder\n%s_conf:\n    attention_heads: %d\n    linear_units: %d\n"
                  "    num_blocks: %d\n    kernel_size: %d\n    sanm_shfit: %d\n",
                  owner, owner, z->heads, seaco ? z->feed / 2 : z->feed, seaco ? 4 : z->layers,
                  seaco ? 21 : 11, z->kind == PN_RANDOM_STREAMING ? 5 : 0);
    if (seaco)
        pn_buf_puts(b, "    use_output_layer: false\n    wo_input_layer: true\n");
    else
        pn_buf_printf(b, "    att_layer_num: %d\n", z->layers);
}

static void config_encoder(struct pn_buf *b, const char *class, const char *layer, int shift,
                           const struct pn_random_sizes *z)
{
    pn_buf_printf(
        b,
        "encoder: %s\nencoder_conf:\n    output_size: %d\n    attention_heads: %d\n    linear_units: %d\n"
        "    num_blocks: %d\n    input_layer: %s\n    normalize_before: true\n    kernel_size: 11\n"
        "    sanm_shfit: %d\n    selfattention_layer_type: sanm\n",
        class, z->size, z->heads, z->feed, z->blocks, layer, shift);
}

static void config_asr(struct pn_buf *b, const struct pn_random_sizes *z)
{
    static const char *const CLASSES[] = { "Paraformer", "SeacoParaformer", "ParaformerStreaming" };
    const bool online = z->kind == PN_RANDOM_STREAMING, seaco = z->kind == PN_RANDOM_SEACO;
    pn_buf_printf(b, "model: %s\nmodel_conf:\n    ctc_weight: 0.0\n    predictor_bias: 1\n",
                  CLASSES[z->kind]);
    if (seaco)
        pn_buf_printf(b,
                      "    inner_dim: %d\n    bias_encoder_type: lstm\n    bias_encoder_bid: false\n"
                      "    NO_BIAS: %d\n",
                      z->size, PN_MIN(8377, z->vocabulary - 2));
    config_encoder(b, online ? "SANMEncoderChunkOpt" : "SANMEncoder", online ? "pe_online" : "pe", 0, z);
    config_decoder(b, "decoder", z, false);
    if (seaco)
        config_decoder(b, "seaco_decoder", z, true);
    pn_buf_printf(
        b,
        "predictor: CifPredictorV%d\npredictor_conf:\n    idim: %d\n    threshold: 1.0\n    l_order: 1\n"
        "    r_order: 1\n    tail_threshold: 0.45\n",
        seaco ? 3 : 2, z->size);
    if (seaco)
        pn_buf_puts(b, "    smooth_factor2: 0.25\n    noise_threshold2: 0.01\n    upsample_times: 3\n"
                       "    use_cif1_cnn: false\n    upsample_type: cnn_blstm\n");
    config_frontend(b, online, 7, 6);
    pn_buf_puts(
        b, "tokenizer: CharTokenizer\ntokenizer_conf:\n    unk_symbol: <unk>\n    split_with_space: true\n");
}

static void config_vad(struct pn_buf *b)
{
    pn_buf_puts(
        b, "model: FsmnVADStreaming\nmodel_conf:\n    sample_rate: 16000\n    detect_mode: 1\n"
           "    max_end_silence_time: 800\n    max_start_silence_time: 3000\n    window_size_ms: 200\n"
           "    sil_to_speech_time_thres: 150\n    speech_to_sil_time_thres: 150\n"
           "    speech_2_noise_ratio: 1.0\n    do_extend: 1\n    lookback_time_start_point: 200\n"
           "    lookahead_time_end_point: 100\n    max_single_segment_time: 60000\n    snr_thres: -100.0\n"
           "    noise_frame_num_used_for_snr: 100\n    decibel_thres: -100.0\n    speech_noise_thres: 0.6\n"
           "    fe_prior_thres: 0.0001\n    silence_pdf_num: 1\n    sil_pdf_ids:\n    - 0\n"
           "    frame_in_ms: 10\n    frame_length_ms: 25\n"
           "encoder: FSMN\nencoder_conf:\n    input_dim: 400\n    input_affine_dim: 140\n    fsmn_layers: 4\n"
           "    linear_dim: 250\n    proj_dim: 128\n    lorder: 20\n    rorder: 0\n    lstride: 1\n"
           "    rstride: 0\n    output_affine_dim: 140\n    output_dim: 248\n");
    config_frontend(b, true, 5, 1);
}

static void config_punctuation(struct pn_buf *b, const struct pn_random_sizes *z)
{
    const bool live = z->kind == PN_RANDOM_PUNCTUATION_LIVE;
    pn_buf_printf(b,
                  "model: %s\nmodel_conf:\n    ignore_id: 0\n    embed_unit: %d\n    att_unit: %d\n"
                  "    punc_list:\n    - <unk>\n    - _\n    - ，\n    - 。\n    - ？\n    - 、\n"
                  "    sentence_end_id: 3\n    vocab_size: %d\n",
                  live ? "CTTransformerStreaming" : "CTTransformer", z->size, z->size, z->vocabulary);
    config_encoder(b, live ? "SANMVadEncoder" : "SANMEncoder", "pe", live ? 5 : 0, z);
    pn_buf_printf(b, "    input_size: %d\n", z->size);
    pn_buf_puts(
        b, "tokenizer: CharTokenizer\ntokenizer_conf:\n    unk_symbol: <unk>\n    split_with_space: true\n");
}

static void config_yaml(struct pn_buf *b, const struct pn_random_sizes *z, uint64_t seed)
{
    switch (z->kind) {
    case PN_RANDOM_OFFLINE:
    case PN_RANDOM_SEACO:
    case PN_RANDOM_STREAMING:
        config_asr(b, z);
        return;
    case PN_RANDOM_VAD:
        config_vad(b);
        return;
    case PN_RANDOM_PUNCTUATION:
    case PN_RANDOM_PUNCTUATION_LIVE:
        config_punctuation(b, z);
        return;
    }
    PN_UNREACHABLE();
}

static void configuration_json(struct pn_buf *b, const struct pn_random_sizes *z, uint64_t seed)
{
    pn_buf_puts(
        b, "{\n \"framework\": \"pytorch\",\n \"model\": {\"type\": \"funasr\"},\n \"file_path_metas\": {\n"
           "  \"init_param\": \"model.pt\",\n  \"config\": \"config.yaml\"");
    if (z->kind != PN_RANDOM_VAD)
        pn_buf_printf(b, ",\n  \"tokenizer_conf\": {\"token_list\": \"tokens.json\"%s}",
                      recognises(z) ? ", \"seg_dict_file\": \"seg_dict\"" : "");
    if (recognises(z) || z->kind == PN_RANDOM_VAD)
        pn_buf_puts(b, ",\n  \"frontend_conf\": {\"cmvn_file\": \"am.mvn\"}");
    pn_buf_puts(b, "\n }\n}\n");
}

static int write_text(const char *folder, const char *name, text_fn make, const struct pn_random_sizes *z,
                      uint64_t seed, struct pn_err *err)
{
    char path[512];
    struct pn_buf b;
    (void)snprintf(path, sizeof(path), "%.480s/%s", folder, name);
    pn_buf_init(&b, MAX_TEXT);
    make(&b, z, seed);
    FILE *f = fopen(path, "wb");
    int r = b.failed ? pn_fail(err, PN_ENOMEM, "no memory for %s", name) : 0;
    if (r == 0 && (!f || fwrite(b.ptr, 1, b.len, f) != b.len))
        r = pn_fail_errno(err, "writing %s", path);
    if (f && fclose(f) != 0 && r == 0)
        r = pn_fail_errno(err, "writing %s", path);
    pn_buf_done(&b);
    return r;
}

int pn_random_folder_texts(const char *folder, const struct pn_random_sizes *z, uint64_t seed,
                           struct pn_err *err)
{
    const struct {
        const char *name;
        text_fn make;
        bool wanted;
    } files[] = {
        { "config.yaml", config_yaml, true },
        { "configuration.json", configuration_json, true },
        { "tokens.json", tokens, z->kind != PN_RANDOM_VAD },
        { "am.mvn", am_mvn, recognises(z) || z->kind == PN_RANDOM_VAD },
        { "seg_dict", seg_dict, recognises(z) },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < PN_ARRAY_LEN(files); i++) {
        if (files[i].wanted)
            r = write_text(folder, files[i].name, files[i].make, z, seed, err);
    }
    return r;
}
