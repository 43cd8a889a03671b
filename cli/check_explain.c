#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "cli/cli.h"

#define PROGRAM "keyless-server"

/* Lets the key server answer; its exit code, or a negative error. */
static int run_server(const char *file, const struct check_question *question, struct buffer *output)
{
    const char *arguments[14] = {PROGRAM, "-c", file, "--explain"};
    size_t count = 4;
    const struct {
        const char *option, *value;
    } parts[] = {{"--from", question->from}, {"--name", question->name}, {"--at", question->at}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].value == NULL)
            continue;
        arguments[count++] = parts[i].option;
        arguments[count++] = parts[i].value;
    }
    arguments[count++] = "--"; /* a word may begin with a hyphen */
    for (size_t i = 0; i < 3; i++)
        arguments[count++] = question->words[i];
    return check_daemon_run(arguments, false, output);
}

/* ---- as JSON ---- */

/* The next word of *REST, which ends with blanks or with END. */
static char *cut(char **rest, const char *end)
{
    char *word = *rest + strspn(*rest, " ");
    char *stop = strstr(word, end);
    if (stop == NULL) {
        *rest = word + strlen(word);
        return word;
    }
    *stop = 0;
    *rest = stop + strlen(end);
    return word;
}

/* What the words of a user's files hold need not be UTF-8, JSON must: such a member is null. */
static json_t *text_json(const char *text)
{
    json_t *string = json_string(text);
    return string != NULL ? string : json_null();
}

/* "fix STEP WHAT": of the step before. */
static void add_fix(const json_t *all, const char *fix)
{
    json_t *steps = json_object_get(all, "steps");
    json_t *last = json_array_get(steps, json_array_size(steps) - 1);
    json_object_set_new(last, "fix", text_json(fix));
}

/* "ANSWER STEP WHERE: WHY" */
static void add_line(json_t *all, char *line)
{
    char *rest = line;
    const char *answer = cut(&rest, " "), *step = cut(&rest, " ");
    if (strcmp(answer, "fix") == 0) {
        add_fix(all, rest + strspn(rest, " "));
        return;
    }
    const char *where = cut(&rest, ": "), *why = rest;
    if (strcmp(step, "verdict") != 0) {
        json_t *entry = json_pack("{s:o, s:o, s:o, s:o}", "answer", text_json(answer), "step",
                                  text_json(step), "where", text_json(where), "why", text_json(why));
        json_array_append_new(json_object_get(all, "steps"), entry);
        return;
    }
    bool granted = strcmp(answer, "granted") == 0;
    json_object_set_new(all, "granted", json_boolean(granted));
    json_object_set_new(all, "reason", granted ? json_null() : text_json(where));
    json_object_set_new(all, "why", text_json(why));
}

static void print_json(char *text)
{
    json_t *all = json_pack("{s:[]}", "steps");
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (line[0] != 0)
            add_line(all, line);
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(all);
}

/* ---- for a person ---- */

enum part { VERDICT, REFUSES, REST };

static bool begins(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

static enum part part_of(const char *line)
{
    const char *step = line + strcspn(line, " ");
    if (begins(step + strspn(step, " "), "verdict "))
        return VERDICT;
    return begins(line, "refused ") || begins(line, "fix ") ? REFUSES : REST;
}

static const char *colour_of(const char *line)
{
    if (begins(line, "refused "))
        return "\033[31m";
    if (begins(line, "fix "))
        return "\033[1m";
    return begins(line, "granted ") && part_of(line) == VERDICT ? "\033[32m" : "";
}

/* The lines of TEXT that belong to PART. */
static void print_part(FILE *out, const char *text, enum part part, bool colour)
{
    for (const char *line = text; *line != 0;) {
        size_t length = strcspn(line, "\n");
        const char *on = colour ? colour_of(line) : "";
        if (part_of(line) == part)
            fprintf(out, "%s%.*s%s\n", on, (int)length, line, on[0] != 0 ? "\033[0m" : "");
        line += length + (line[length] != 0);
    }
}

void check_explain_print(FILE *out, const char *text, bool colour)
{
    print_part(out, text, VERDICT, colour);
    print_part(out, text, REFUSES, colour);
    fputc('\n', out);
    print_part(out, text, REST, colour);
}

int check_explain(const char *file, const struct check_question *question, bool json)
{
    struct buffer output = {0};
    int code = run_server(file, question, &output);
    char *text = buffer_put(&output, "", 1) == 0 ? strdup((const char *)buffer_bytes(&output)) : NULL;
    if (code == 127)
        code = cli_fail(&cli_check, CLI_FAILED,
                        PROGRAM
                        ": not found beside this command or in PATH; install it, or run where it is: " PROGRAM
                        " -c %s --explain %s %s %s",
                        file, question->words[0], question->words[1], question->words[2]);
    else if (code < 0 || text == NULL)
        code = cli_fail(&cli_check, CLI_FAILED, PROGRAM " --explain: failed with %s: %s", file,
                        err_string(code < 0 ? code : ERR_MEMORY));
    else if (code != CLI_DONE && code != CLI_REFUSED)
        fputs(text, stdout);
    else if (json)
        print_json(text);
    else
        check_explain_print(stdout, text, cli_colour());
    free(text);
    buffer_clear(&output);
    return code;
}
