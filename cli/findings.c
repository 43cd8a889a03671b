#include "cli/findings.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *name;
    const char *colour;
} levels[FINDING_LEVELS] = {
    [FINDING_OK] = {"ok", "\033[32m"},
    [FINDING_WARNING] = {"warning", "\033[33m"},
    [FINDING_ERROR] = {"error", "\033[31m"},
};

static void print_line(enum finding_level level, const char *text)
{
    if (cli_colour())
        printf("%s%-7s\033[0m  %s\n", levels[level].colour, levels[level].name, text);
    else
        printf("%-7s  %s\n", levels[level].name, text);
    fflush(stdout);
}

/* Keeps TEXT (taken); false when it cannot, or when it was said before. */
static bool keep(struct findings *findings, enum finding_level level, char *text)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (strcmp(findings->item[i].text, text) == 0) {
            free(text);
            return false;
        }
    }
    if (findings->count == findings->size) {
        size_t size = findings->size == 0 ? 32 : 2 * findings->size;
        struct finding *item = reallocarray(findings->item, size, sizeof *item);
        if (item == NULL) {
            free(text);
            return false;
        }
        findings->item = item;
        findings->size = size;
    }
    findings->item[findings->count++] = (struct finding){.level = level, .text = text};
    return true;
}

/* True when there was something new to say. */
__attribute__((format(printf, 3, 0))) static bool add(struct findings *findings, enum finding_level level,
                                                      const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) {
        findings->counts[FINDING_ERROR]++; /* a lost finding is no success */
        return false;
    }
    for (char *at = text; *at != 0; at++) /* names of files and certificates may hold anything */
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    if (!keep(findings, level, text))
        return false;
    findings->counts[level]++;
    if (!findings->json)
        print_line(level, text);
    return true;
}

void findings_add(struct findings *findings, enum finding_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(findings, level, format, arguments);
    va_end(arguments);
}

void findings_add_unreachable(struct findings *findings, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (add(findings, FINDING_ERROR, format, arguments))
        findings->unreachable++;
    va_end(arguments);
}

static json_t *finding_json(const struct finding *finding)
{
    const char *colon = strstr(finding->text, ": ");
    size_t length = colon == NULL ? strlen(finding->text) : (size_t)(colon - finding->text);
    const char *why = colon == NULL ? "" : colon + 2;
    json_t *object = json_pack("{s:s}", "level", levels[finding->level].name);
    /* A file's name need not be UTF-8, JSON must: such a member is null. */
    json_t *what = json_stringn(finding->text, length), *rest = json_string(why);
    json_object_set_new(object, "what", what != NULL ? what : json_null());
    json_object_set_new(object, "why", rest != NULL ? rest : json_null());
    return object;
}

static void print_json(const struct findings *findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < findings->count; i++)
        json_array_append_new(list, finding_json(&findings->item[i]));
    json_t *all = json_pack("{s:I, s:I, s:o}", "errors", (json_int_t)findings->counts[FINDING_ERROR],
                            "warnings", (json_int_t)findings->counts[FINDING_WARNING], "findings", list);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* Prints the last line, the totals. */
static void print_summary(const struct findings *findings)
{
    size_t errors = findings->counts[FINDING_ERROR], warnings = findings->counts[FINDING_WARNING];
    size_t good = findings->counts[FINDING_OK];
    printf("%zu error%s, %zu warning%s, %zu thing%s found good; looked at %s\n", errors, plural(errors),
           warnings, plural(warnings), good, plural(good), findings->looked_at);
}

int findings_end(struct findings *findings)
{
    size_t errors = findings->counts[FINDING_ERROR];
    int result = CLI_DONE;
    if (errors > 0)
        result = errors == findings->unreachable ? CLI_UNREACHABLE : CLI_FAILED;
    if (findings->json)
        print_json(findings);
    else if (findings->looked_at != NULL)
        print_summary(findings);
    for (size_t i = 0; i < findings->count; i++)
        free(findings->item[i].text);
    free(findings->item);
    *findings = (struct findings){.json = findings->json, .looked_at = findings->looked_at};
    return result;
}
