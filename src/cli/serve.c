/* serve.c - `pinna serve`: reads the configuration, starts the log and the server, says where it listens. */
#include "cli/serve.h"

#include "base/log.h"
#include "cli/auto_pull.h"
#include "cli/options.h"
#include "server/server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_ARENA_MAX (4 << 20)
#define LOG_ROTATE_BYTES (10 << 20)
#define LOG_ROTATE_KEEP  5

struct serve_fields {
    bool help, help_all;
};

static const struct pn_opt SERVE_OPTIONS[] = {
    { .flag = "help",
      .letter = 'h',
      .type = PN_OPT_BOOL,
      .offset = offsetof(struct serve_fields, help),
      .fallback = "false",
      .help = "print this and exit" },
    { .flag = "help-all",
      .type = PN_OPT_BOOL,
      .offset = offsetof(struct serve_fields, help_all),
      .fallback = "false",
      .help = "print every setting and exit" },
};
static const struct pn_opt_table SERVE_TABLE = { SERVE_OPTIONS, PN_ARRAY_LEN(SERVE_OPTIONS) };

static const char USAGE[] = "usage: pinna serve [OPTION]...\n\n"
                            "Serves speech to text over HTTP. SIGTERM finishes the running work and stops;\n"
                            "SIGHUP reopens the log and reads the certificate again.\n";

static enum pn_log_level level_of(const char *name)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    for (size_t i = 0; i < PN_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum pn_log_level)i;
    return PN_INFO;
}

/* Without a file the service still runs: its log then goes to stderr only. */
static int start_log(const struct pn_config *c, struct pn_err *err)
{
    struct pn_log_options opt = { .level = level_of(c->log_level),
                                  .json = strcmp(c->log_format, "json") == 0,
                                  .to_stderr = true,
                                  .file = c->log_file,
                                  .rotate_bytes = LOG_ROTATE_BYTES,
                                  .rotate_keep = LOG_ROTATE_KEEP };
    struct pn_err why = { 0 };
    if (pn_log_start(&opt, &why) == 0)
        return 0;
    opt.file = NULL;
    int r = pn_log_start(&opt, err);
    if (r == 0)
        pn_log(PN_WARN, "no log file", F_ERR(&why));
    return r;
}

/* The first line is what scripts wait for. */
static void announce(const struct pn_config *c, const struct pn_server *server)
{
    int port = pn_server_port(server, PN_LISTEN_MAIN), funasr = pn_server_port(server, PN_LISTEN_FUNASR);
    bool v6 = strchr(c->host, ':') != NULL;
    const char *before = v6 ? "[" : "", *behind = v6 ? "]" : "";
    pn_log(PN_INFO, "listening", F_CSTR("host", c->host), F_I64("port", port), F_I64("funasr_port", funasr),
           F_CSTR("version", PINNA_VERSION));
    const char *secure = c->tls_cert[0] ? "s" : "";
    printf("pinna: listening on http%s://%s%s%s:%d\n", secure, before, c->host, behind, port);
    if (funasr)
        printf("pinna: FunASR's protocol on ws%s://%s%s%s:%d\n", secure, before, c->host, behind, funasr);
    fflush(stdout);
}

/* At once, whatever runs: streams are open and threads compute; the decode children die with this process. */
static _Noreturn void leave(int status)
{
    pn_log_stop();
    _exit(status);
}

static int serve(const struct pn_config *c, struct pn_err *err)
{
    struct pn_server *server = NULL;
    int r = start_log(c, err);
    if (r < 0)
        return r;
    pn_auto_pull(c, c->whisper_model, c->model_name);
    r = pn_server_new(c, &server, err);
    if (r == 0) {
        announce(c, server);
        r = pn_server_run(server);
        pn_log(PN_INFO, "stopped", F_I64("status", r));
        if (r != 0)
            leave(r);
        pn_server_free(server);
    }
    pn_log_stop();
    return r;
}

int pn_cmd_serve(int argc, char **argv)
{
    struct pn_arena *arena = NULL;
    struct pn_config_loaded *loaded = NULL;
    struct serve_fields own;
    struct pn_err err = { 0 };
    int first = 0, status = 2;
    if (pn_arena_new(CONFIG_ARENA_MAX, &arena) < 0)
        return 1;
    int r = pn_cli_options(argc, argv, &SERVE_TABLE, &own, arena, &loaded, &first, &err);
    if (r == 0 && (own.help || own.help_all)) {
        status = pn_cli_print_help(USAGE, &SERVE_TABLE, own.help_all) < 0;
    } else if (r == 0 && first < argc) {
        fprintf(stderr, "pinna serve: '%s' is not an option; see pinna serve --help\n", argv[first]);
    } else if (r == 0 && (r = pn_server_check(&loaded->config, &err)) == 0) {
        r = serve(&loaded->config, &err);
        status = r < 0 ? 1 : r;
    }
    if (r < 0)
        fprintf(stderr, "pinna serve: %s\n", err.text);
    pn_arena_free(arena);
    return status;
}
