/* main.c - the program `pinna`: one subcommand a file. */
#include "cli/config.h"
#include "cli/listen.h"
#include "cli/models.h"
#include "cli/pull.h"
#include "cli/serve.h"
#include "cli/transcribe.h"

#include "base/attr.h"

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit status */
    const char *help;
};

static const struct command COMMANDS[] = {
    { "serve", pn_cmd_serve, "serve speech to text over HTTP" },
    { "transcribe", pn_cmd_transcribe, "write down what is said in audio files" },
    { "listen", pn_cmd_listen, "write down what a microphone hears, while somebody speaks" },
    { "pull", pn_cmd_pull, "get models by name, or import one's own" },
    { "models", pn_cmd_models, "list the models that are here, and those that can be had" },
    { "config", pn_cmd_config, "print every setting and where it came from" },
};

static int help(FILE *out)
{
    fprintf(out, "usage: pinna COMMAND [OPTION]...\n\nSpeech to text on your own machine.\n\n");
    for (size_t i = 0; i < PN_ARRAY_LEN(COMMANDS); i++)
        fprintf(out, "  %-12s %s\n", COMMANDS[i].name, COMMANDS[i].help);
    fprintf(out, "\n`pinna COMMAND --help` lists the options of a command.\n");
    return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return help(stderr);
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(stdout);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return printf("pinna %s\n", PINNA_VERSION) < 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(COMMANDS); i++)
        if (strcmp(name, COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    fprintf(stderr, "pinna: there is no command '%s'; see pinna --help\n", name);
    return 2;
}
