#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/output.h"
#include "common/similar.h"

#define LONG_OPTIONS_MAX 24
#define HELP_OPTION      1000

__attribute__((format(printf, 2, 0))) static void complain(const struct cli_verb *verb, const char *format,
                                                           va_list arguments)
{
    fprintf(stderr, "keyless %s: ", verb->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int cli_fail(const struct cli_verb *verb, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(verb, format, arguments);
    va_end(arguments);
    return code;
}

int cli_usage(const struct cli_verb *verb, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(verb, format, arguments);
    va_end(arguments);
    fprintf(stderr, "usage: keyless %s %s\nkeyless %s --help tells more\n", verb->name, verb->arguments,
            verb->name);
    return CLI_USAGE;
}

int cli_exit_of(int err)
{
    switch (err) {
    case ERR_NONE:
        return CLI_DONE;
    case ERR_CONFIG:
    case ERR_NOT_FOUND:
        return CLI_USAGE;
    case ERR_TIMEOUT:
    case ERR_CUT:
    case ERR_CLOSED:
        return CLI_UNREACHABLE;
    case ERR_REFUSED:
        return CLI_REFUSED;
    default:
        return CLI_FAILED;
    }
}

int cli_end(int status)
{
    return output_finish("keyless", status);
}

void cli_help(const struct cli_verb *verb)
{
    printf("usage: keyless %s %s\n\n%s\n\n%s", verb->name, verb->arguments, verb->summary, verb->help);
}

/* GIVEN is the unknown option as it was given, "--optoin=x". */
static void complain_unknown(const struct cli_verb *verb, const char *given, const struct option *all)
{
    struct similar similar;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given + 2, "="), given + 2);
    similar_init(&similar, name);
    for (; all->name != NULL; all++)
        similar_offer(&similar, all->name);
    if (similar.best != NULL)
        cli_usage(verb, "there is no option --%s; did you mean --%s?", name, similar.best);
    else
        cli_usage(verb, "there is no option --%s", name);
}

/* What getopt_long() has found wrong, with what may be meant. */
static int complain_option(const struct cli_verb *verb, int result, char *argv[], const struct option *all)
{
    const char *given = argv[optind - 1];
    if (result == ':')
        cli_usage(verb, "%s needs a value", given);
    else if (optopt != 0 && strncmp(given, "--", 2) != 0)
        cli_usage(verb, "there is no option -%c", optopt);
    else if (optopt != 0)
        cli_usage(verb, "%s: this option takes no value", given);
    else
        complain_unknown(verb, given, all);
    return '?';
}

int cli_option(const struct cli_verb *verb, int argc, char *argv[], const char *short_options,
               const struct option *long_options)
{
    struct option all[LONG_OPTIONS_MAX + 2] = {{"help", no_argument, NULL, HELP_OPTION}};
    char letters[64];
    for (size_t i = 0; i < LONG_OPTIONS_MAX && long_options != NULL && long_options[i].name != NULL; i++)
        all[i + 1] = long_options[i];
    snprintf(letters, sizeof letters, ":h%s", short_options);
    opterr = 0; /* said below, with what may be meant */
    int option = getopt_long(argc, argv, letters, all, NULL);
    if (option == HELP_OPTION || option == 'h') {
        cli_help(verb);
        exit(cli_end(CLI_DONE));
    }
    return option == '?' || option == ':' ? complain_option(verb, option, argv, all) : option;
}

bool cli_colour(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL && term != NULL && strcmp(term, "dumb") != 0;
}
