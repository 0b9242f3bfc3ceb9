/* listen.c - `pinna listen`: its options, and source, ear and screen put together. */
#include "cli/listen.h"

#include "base/config.h"
#include "base/signals.h"
#include "base/ws_handshake.h"
#include "cli/listen_run.h"
#include "cli/options.h"
#include "text/language.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_MODEL = 3 };

struct fields {
    const char *model, *language, *task, *hotwords, *file, *device, *format, *url, *ca;
    int64_t rate;
    bool vad, punctuation, itn, json, timestamps, raw, insecure, list_devices, help, help_all;
};

#define OWN(type_, name_, member_) \
    .flag = (name_), .type = (type_), .offset = offsetof(struct fields, member_)

static const struct pn_opt OPTIONS[] = {
    { OWN(PN_OPT_STR, "model", model), .letter = 'm', .fallback = "", .arg = "MODEL",
      .help = "model that listens; empty means that of MODEL_NAME, or the server's" },
    { OWN(PN_OPT_STR, "language", language), .letter = 'l', .fallback = "", .arg = "LANGUAGE",
      .help = "language that is spoken (en, zh, german); empty means detect" },
    { OWN(PN_OPT_CHOICE, "task", task), .fallback = "transcribe", .choices = "transcribe,translate",
      .arg = "TASK", .help = "translate means into English (Whisper)" },
    { OWN(PN_OPT_STR, "hotwords", hotwords), .fallback = "", .arg = "WORDS",
      .help = "words that are likely, blanks between, each with :WEIGHT behind it or not (Paraformer)" },
    { OWN(PN_OPT_BOOL, "vad", vad), .fallback = "true",
      .help = "end sentences at pauses; without, all is one utterance" },
    { OWN(PN_OPT_BOOL, "punctuation", punctuation), .fallback = "true",
      .help = "punctuate the text of models that do not, if a model for that is here" },
    { OWN(PN_OPT_BOOL, "itn", itn), .fallback = "true",
      .help = "write numbers, dates, times and amounts with digits" },
    { OWN(PN_OPT_STR, "file", file), .letter = 'f', .fallback = "", .arg = "FILE",
      .help = "listen to a WAV or raw file or a pipe, - for standard input" },
    { OWN(PN_OPT_STR, "device", device), .letter = 'd', .fallback = "", .arg = "NAME",
      .help = "ALSA's name of the microphone; empty means default" },
    { OWN(PN_OPT_BOOL, "list-devices", list_devices), .fallback = "false",
      .help = "print the microphones and exit" },
    { OWN(PN_OPT_INT, "rate", rate), .fallback = "16000", .min = PN_INTAKE_MIN_RATE,
      .max = PN_INTAKE_MAX_RATE, .arg = "HZ", .help = "samples in a second of a raw file" },
    { OWN(PN_OPT_CHOICE, "format", format), .fallback = "s16le",
      .choices = "s16le|pcm_s16le,f32le|pcm_f32le,ulaw|pcm_ulaw,alaw|pcm_alaw", .arg = "FORMAT",
      .help = "samples of a raw file" },
    { OWN(PN_OPT_BOOL, "raw", raw), .fallback = "false", .help = "the file is raw, whatever it begins with" },
    { OWN(PN_OPT_STR, "url", url), .letter = 'u', .fallback = "", .arg = "URL",
      .help = "let a server listen: ws://HOST:PORT or wss://HOST:PORT, /ws/asr behind it if nothing is" },
    { OWN(PN_OPT_STR, "ca", ca), .fallback = "", .arg = "FILE",
      .help = "certificates in PEM that a wss server's is checked with" },
    { OWN(PN_OPT_BOOL, "insecure", insecure), .fallback = "false", .help = "take any certificate" },
    { OWN(PN_OPT_BOOL, "json", json), .fallback = "false",
      .help = "an object a line: type (partial, final), start, end, text" },
    { OWN(PN_OPT_BOOL, "timestamps", timestamps), .letter = 't', .fallback = "false",
      .help = "print each sentence with its times" },
    { OWN(PN_OPT_BOOL, "help", help), .letter = 'h', .fallback = "false", .help = "print this and exit" },
    { OWN(PN_OPT_BOOL, "help-all", help_all), .fallback = "false", .help = "print every setting and exit" },
};
static const struct pn_opt_table TABLE = { OPTIONS, PN_ARRAY_LEN(OPTIONS) };

static const char USAGE[] =
    "usage: pinna listen [OPTION]...\n\n"
    "Writes down what a microphone hears while somebody speaks; standard input instead if it is a pipe or a\n"
    "file. Ctrl-C ends the audio and waits for the last words; again, it leaves at once.\n"
    "Exit status: 0 all done, 1 an error, 2 usage, 3 no such model, 130 interrupted twice.\n";

struct command {
    struct fields own;
    struct pn_config_loaded *loaded;
    struct pn_sound_format format;
    struct pn_ear_wish wish;
    struct pn_ear_server server;
};

/* ---- options ---- */

static int read_format(struct command *cmd)
{
    char name[32];
    snprintf(name, sizeof(name), "pcm_%s", cmd->own.format);
    cmd->format = (struct pn_sound_format){ .rate = (int)cmd->own.rate, .raw = cmd->own.raw };
    return pn_intake_format_parse(pn_str(name), &cmd->format.format);
}

static int read_wish(struct command *cmd, struct pn_err *err)
{
    const struct fields *own = &cmd->own;
    int i = pn_opt_by_key(cmd->loaded->values.table, PN_STR("engine.model_name"));
    bool live_model = i >= 0 && cmd->loaded->values.origins[i].from == PN_FROM_FLAG;
    cmd->wish.model = own->model[0] || !live_model ? own->model : cmd->loaded->config.model_name;
    cmd->wish.want = (struct pn_recognition){ .language = pn_language_code(pn_str(own->language)),
                                              .task = own->task,
                                              .prompt = "",
                                              .temperature = -1,
                                              .live = true,
                                              .hotwords = own->hotwords,
                                              .vad = own->vad,
                                              .punctuation = own->punctuation,
                                              .itn = own->itn };
    if (!cmd->wish.want.language)
        return pn_fail(err, PN_EINVAL, "--language: '%.60s' is no language that is known", own->language);
    return 0;
}

/* What push-to-talk cannot ask for. */
static int check_server(struct command *cmd, struct pn_err *err)
{
    const struct fields *own = &cmd->own;
    struct pn_ws_url url;
    cmd->server = (struct pn_ear_server){ own->url, own->ca, own->insecure };
    if (!own->url[0])
        return own->ca[0] || own->insecure ? pn_fail(err, PN_EINVAL, "--ca and --insecure are for --url") : 0;
    if (!own->itn || !own->punctuation || strcmp(own->task, "transcribe") != 0)
        return pn_fail(err, PN_EINVAL,
                       "--no-itn, --no-punctuation and --task are not for --url: the server decides");
    return pn_ws_url_parse(pn_str(own->url), &url, err);
}

static int check_options(struct command *cmd, int n_operands, const char *operand, struct pn_err *err)
{
    const struct fields *own = &cmd->own;
    if (n_operands > 0)
        return pn_fail(err, PN_EINVAL, "'%.60s' is not an option; --file %.60s listens to a file", operand,
                       operand);
    if (own->file[0] && own->device[0])
        return pn_fail(err, PN_EINVAL, "--file or --device, not both");
    int r = read_format(cmd);
    if (r == 0)
        r = read_wish(cmd, err);
    return r < 0 ? r : check_server(cmd, err);
}

/* ---- the run ---- */

static bool stdin_has_audio(void)
{
    struct stat st;
    return fstat(STDIN_FILENO, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int open_sound(const struct command *cmd, struct pn_sound **ret, struct pn_err *err)
{
    const struct fields *own = &cmd->own;
    if (own->file[0])
        return pn_sound_open_file(own->file, &cmd->format, ret, err);
    if (!own->device[0] && stdin_has_audio())
        return pn_sound_open_file("-", &cmd->format, ret, err);
    return pn_sound_open_microphone(own->device, ret, err);
}

static int open_ear(const struct command *cmd, struct pn_ear **ret, struct pn_err *err)
{
    return cmd->server.url[0] ? pn_ear_remote(&cmd->server, &cmd->wish, ret, err)
                              : pn_ear_local(&cmd->loaded->config, &cmd->wish, ret, err);
}

static int listen_until_end(const struct command *cmd, struct pn_sound *sound, struct pn_ear *ear,
                            struct pn_err *err)
{
    struct pn_screen screen;
    int signal_fd = pn_signals_open(SFD_CLOEXEC, err);
    if (signal_fd < 0)
        return EXIT_ERROR;
    pn_screen_init(&screen, cmd->own.json, cmd->own.timestamps);
    int r = pn_listen_run(sound, ear, &screen, signal_fd, err);
    pn_screen_done(&screen);
    if (r == -PN_ECANCELLED)
        _exit(128 + SIGINT); /* the engine may be busy for seconds */
    if (sound->overruns)
        fprintf(stderr, "pinna listen: audio was lost %llu times: this machine did not keep up\n",
                (unsigned long long)sound->overruns);
    close(signal_fd);
    return r < 0 ? EXIT_ERROR : 0;
}

/* The source comes first: that it is not there is known at once, models take a while. */
static int listen_with(const struct command *cmd, struct pn_err *err)
{
    struct pn_sound *sound = NULL;
    struct pn_ear *ear = NULL;
    int r = open_sound(cmd, &sound, err);
    if (r < 0)
        return EXIT_ERROR;
    r = open_ear(cmd, &ear, err);
    int status = r < 0 ? EXIT_MODEL : listen_until_end(cmd, sound, ear, err);
    pn_ear_free(ear);
    pn_sound_close(sound);
    return status;
}

static int run(int argc, char **argv, struct pn_arena *arena, struct pn_err *err)
{
    struct command cmd = { 0 };
    int first = argc;
    if (pn_cli_options(argc, argv, &TABLE, &cmd.own, arena, &cmd.loaded, &first, err) < 0)
        return EXIT_USAGE;
    if (cmd.own.help || cmd.own.help_all)
        return pn_cli_print_help(USAGE, &TABLE, cmd.own.help_all) < 0;
    if (check_options(&cmd, argc - first, argv[first], err) < 0)
        return EXIT_USAGE;
    if (cmd.own.list_devices)
        return pn_sound_list_devices(err) < 0;
    return listen_with(&cmd, err);
}

int pn_cmd_listen(int argc, char **argv)
{
    return pn_cli_run("listen", run, argc, argv);
}
