/* transcribe.c - `pinna transcribe`: its options, and the engine put together for one run.
 *
 * Signals that end the program are blocked before the first thread starts and read from a descriptor, so an
 * interrupt is an event of the main loop: jobs are cancelled, their children die, and the process leaves
 * without waiting for utterances that are being decoded. */
#include "cli/transcribe.h"

#include "base/config.h"
#include "base/signals.h"
#include "cli/auto_pull.h"
#include "cli/model_options.h"
#include "cli/options.h"
#include "cli/transcribe_run.h"
#include "text/language.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { ROW_BUDGET = 4096, EXIT_USAGE = 2, EXIT_MODEL = 3 };
enum { MAX_CONCURRENT = 8 }; /* files that share the model's steps: more cost memory and gain little */

struct fields {
    const char *format, *language, *task, *output_dir, *prompt, *hotwords, *encoder_context;
    double temperature;
    int64_t beam_size, best_of;
    bool word_timestamps, fast, vad, punctuation, itn, raw_pcm, help, help_all;
};

#define OWN(type_, name_, member_) \
    .flag = (name_), .type = (type_), .offset = offsetof(struct fields, member_)

static const struct pn_opt OPTIONS[] = {
    { OWN(PN_OPT_CHOICE, "format", format), .letter = 'f', .fallback = "text", .arg = "FORMAT",
      .choices = "text|txt,json,srt,vtt,tsv,verbose_json", .help = "what to write" },
    { OWN(PN_OPT_STR, "language", language), .letter = 'l', .fallback = "", .arg = "LANGUAGE",
      .help = "language that is spoken (en, zh, german); empty means detect" },
    { OWN(PN_OPT_CHOICE, "task", task), .fallback = "transcribe", .choices = "transcribe,translate",
      .arg = "TASK", .help = "translate means into English" },
    { OWN(PN_OPT_BOOL, "word-timestamps", word_timestamps), .fallback = "false",
      .help = "find the time of every word (json, verbose_json)" },
    { OWN(PN_OPT_STR, "prompt", prompt), .fallback = "", .arg = "TEXT",
      .help = "text that comes before: names, spelling, style" },
    { OWN(PN_OPT_INT, "beam-size", beam_size), .fallback = "0", .min = 0, .max = 16, .arg = "N",
      .help = "alternatives kept while searching at temperature 0; 0 takes the best word each time" },
    { OWN(PN_OPT_INT, "best-of", best_of), .fallback = "1", .min = 1, .max = 16, .arg = "N",
      .help = "samples to choose from at higher temperatures" },
    { OWN(PN_OPT_REAL, "temperature", temperature), .fallback = "0", .min = 0, .max = 1, .arg = "T",
      .help = "0 to 1; raised by 0.2 while a result fails its checks" },
    { OWN(PN_OPT_STR, "hotwords", hotwords), .fallback = "", .arg = "WORDS",
      .help = "words that are likely, blanks between, each with :WEIGHT behind it or not (Paraformer)" },
    { OWN(PN_OPT_BOOL, "vad", vad), .fallback = "false",
      .help = "cut at pauses and leave out what is no speech" },
    { OWN(PN_OPT_BOOL, "punctuation", punctuation), .fallback = "true",
      .help = "punctuate the text of models that do not, if a model for that is here" },
    { OWN(PN_OPT_BOOL, "itn", itn), .fallback = "false",
      .help = "write numbers, dates, times and amounts with digits" },
    { OWN(PN_OPT_BOOL, "fast", fast), .fallback = "false",
      .help = "cut long files at pauses and transcribe the pieces together, without context" },
    { OWN(PN_OPT_CHOICE, "encoder-context", encoder_context), .fallback = "full", .choices = "full,auto",
      .arg = "SIZE", .help = "auto computes only what a clip under 30 s needs: faster, a little less exact" },
    { OWN(PN_OPT_STR, "output-dir", output_dir), .letter = 'o', .fallback = "", .arg = "DIR",
      .help = "write a file here for each input, named like it" },
    { OWN(PN_OPT_BOOL, "raw-pcm", raw_pcm), .fallback = "false",
      .help = "inputs have no header: 16 bits, little-endian, mono, 16 kHz" },
    { OWN(PN_OPT_BOOL, "help", help), .letter = 'h', .fallback = "false", .help = "print this and exit" },
    { OWN(PN_OPT_BOOL, "help-all", help_all), .fallback = "false", .help = "print every setting and exit" },
};
static const struct pn_opt_table TABLE = { OPTIONS, PN_ARRAY_LEN(OPTIONS) };

static const char USAGE[] = "usage: pinna transcribe [OPTION]... FILE...\n\n"
                            "Writes down what is said in audio or video files; - is standard input.\n"
                            "Exit status: 0 all done, 1 a file failed, 2 usage, 3 no such model.\n";

/* Everything one run needs; close_engine() takes any part of it. */
struct engine {
    struct pn_models *models;
    struct pn_scheduler *scheduler;
    struct pn_decoder_pool *decoders;
    struct pn_transcriber *transcriber;
    size_t concurrent;
};

struct command {
    struct fields own;
    const struct pn_config *config;
    bool model_by_flag;
    char *const *names;
    size_t n_names;
    struct pn_recognition want;
    enum pn_format format;
};

/* ---- options ---- */

static bool given_by_flag(const struct pn_config_loaded *c, const char *key)
{
    int i = pn_opt_by_key(c->values.table, pn_str(key));
    return i >= 0 && c->values.origins[i].from == PN_FROM_FLAG;
}

static int read_want(const struct fields *own, struct pn_recognition *want, struct pn_err *err)
{
    *want = (struct pn_recognition){ .language = pn_language_code(pn_str(own->language)),
                                     .task = own->task,
                                     .prompt = own->prompt,
                                     .temperature = own->temperature,
                                     .beam_size = (int)own->beam_size,
                                     .best_of = (int)own->best_of,
                                     .word_timestamps = own->word_timestamps,
                                     .batch = own->fast,
                                     .hotwords = own->hotwords,
                                     .vad = own->vad,
                                     .punctuation = own->punctuation,
                                     .itn = own->itn,
                                     .auto_context = strcmp(own->encoder_context, "auto") == 0 };
    if (!want->language)
        return pn_fail(err, PN_EINVAL, "--language: '%.60s' is no language that is known", own->language);
    return 0;
}

static int check_options(struct command *cmd, struct pn_err *err)
{
    if (cmd->n_names == 0)
        return pn_fail(err, PN_EINVAL, "which FILE? See pinna transcribe --help");
    int r = read_want(&cmd->own, &cmd->want, err);
    if (r < 0)
        return r;
    if (pn_format_parse(pn_str(cmd->own.format), &cmd->format) < 0)
        return pn_fail(err, PN_EINVAL, "--format: '%.60s' is not known", cmd->own.format);
    struct pn_output o = { .format = cmd->format, .n_files = cmd->n_names };
    return cmd->own.output_dir[0] ? pn_output_check_names(&o, cmd->names, err) : 0;
}

/* ---- the engine ---- */

/* Only a model that was asked for on the command line must be the one. */
static int open_model(const struct command *cmd, struct engine *e, struct pn_err *err)
{
    pn_auto_pull(cmd->config, cmd->config->whisper_model, NULL);
    struct pn_models_options opt;
    int r = pn_cli_models_options(cmd->config, &opt);
    opt.model = cmd->config->whisper_model;
    opt.allow_fallback = !cmd->model_by_flag;
    opt.punctuation = cmd->want.punctuation ? opt.punctuation : "off";
    opt.final_model = "off";
    if (r == 0)
        r = pn_models_open(&opt, &e->models, err);
    if (r < 0)
        return r;
    e->concurrent = PN_MIN((size_t)MAX_CONCURRENT, cmd->n_names);
    struct pn_recognizer *rec = pn_models_default(e->models);
    return rec->ops->check(rec, &cmd->want, err);
}

static int open_engine(const struct command *cmd, struct engine *e, struct pn_err *err)
{
    int n = (int)e->concurrent;
    struct pn_scheduler_options sched = { .max_streams = n,
                                          .batch_size = (int)cmd->config->batch_size,
                                          .row_budget = ROW_BUDGET };
    int r = pn_scheduler_new(&sched, &e->scheduler, err);
    if (r == 0)
        r = pn_decoder_pool_start(cmd->config, &e->decoders, err);
    if (r < 0)
        return r;
    struct pn_transcriber_options opt = { .scheduler = e->scheduler,
                                          .decoders = e->decoders,
                                          .worker_threads = PN_MIN((int)cmd->config->worker_threads, n),
                                          .max_concurrent = n,
                                          .queue_size = n };
    return pn_transcriber_new(&opt, &e->transcriber, err);
}

static void close_engine(struct engine *e)
{
    e->transcriber = pn_transcriber_free(e->transcriber);
    e->decoders = pn_decoder_pool_free(e->decoders);
    e->scheduler = pn_scheduler_free(e->scheduler);
    e->models = pn_models_free(e->models);
}

/* ---- signals ---- */

/* Jobs first: that kills the children and ends what would still write. Decoders may be busy for seconds, so
 * the models are left to the system. */
_Noreturn static void leave(struct engine *e, int signal_fd)
{
    struct signalfd_siginfo info = { .ssi_signo = SIGINT };
    ssize_t n = read(signal_fd, &info, sizeof(info));
    (void)n;
    pn_transcriber_free(e->transcriber);
    pn_decoder_pool_free(e->decoders);
    _exit(128 + (int)info.ssi_signo);
}

/* ---- the run ---- */

static int run_files(const struct command *cmd, struct engine *e, int signal_fd, struct pn_err *err)
{
    struct pn_run_options opt = {
        .transcriber = e->transcriber,
        .recognizer = pn_models_default(e->models),
        .want = cmd->want,
        .raw_pcm = cmd->own.raw_pcm,
        .spool_dir = cmd->config->spool_dir,
        .names = cmd->names,
        .concurrent = e->concurrent,
        .signal_fd = signal_fd,
        .output = { .format = cmd->format, .dir = cmd->own.output_dir, .n_files = cmd->n_names }
    };
    struct pn_run *run = NULL;
    int r = pn_run_new(&opt, &run, err);
    if (r < 0)
        return r;
    r = pn_run_all(run);
    if (r == -PN_ECANCELLED)
        leave(e, signal_fd);
    e->transcriber = pn_transcriber_free(e->transcriber); /* jobs point into the run */
    pn_run_free(run);
    return r;
}

/* Exit status; the text of a failure is in *err. */
static int run_command(const struct command *cmd, struct engine *e, struct pn_err *err)
{
    int signal_fd = pn_signals_open(SFD_CLOEXEC, err);
    if (signal_fd < 0)
        return 1;
    int status = 1;
    if (cmd->own.output_dir[0] && pn_output_make_dir(cmd->own.output_dir, err) < 0)
        status = 1;
    else if (open_model(cmd, e, err) < 0)
        status = EXIT_MODEL;
    else if (open_engine(cmd, e, err) == 0)
        status = run_files(cmd, e, signal_fd, err);
    close(signal_fd);
    return status < 0 ? 1 : status;
}

static int run(int argc, char **argv, struct pn_arena *arena, struct pn_err *err)
{
    struct command cmd = { 0 };
    struct pn_config_loaded *loaded = NULL;
    int first = argc;
    if (pn_cli_options(argc, argv, &TABLE, &cmd.own, arena, &loaded, &first, err) < 0)
        return EXIT_USAGE;
    if (cmd.own.help || cmd.own.help_all)
        return pn_cli_print_help(USAGE, &TABLE, cmd.own.help_all) < 0;
    cmd.config = &loaded->config;
    cmd.model_by_flag = given_by_flag(loaded, "engine.whisper_model");
    cmd.names = argv + first;
    cmd.n_names = (size_t)(argc - first);
    if (check_options(&cmd, err) < 0)
        return EXIT_USAGE;
    struct engine e = { 0 };
    int status = run_command(&cmd, &e, err);
    close_engine(&e);
    return status;
}

int pn_cmd_transcribe(int argc, char **argv)
{
    return pn_cli_run("transcribe", run, argc, argv);
}
