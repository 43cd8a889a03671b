#include "common/config_names.h"

#include <string.h>

#define LENGTH_MAX 63 /* longer names are not compared */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t best = a < b ? a : b;
    return best < c ? best : c;
}

/* Insertions, deletions and replacements that make one name of the other; both at most LENGTH_MAX long. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[LENGTH_MAX + 1];
    size_t length = strlen(b);
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

/* The name in TABLE nearest to NAME, or NULL when none is near. */
static const char *find_similar(const struct config_option *table, const char *name)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 2;
    if (strlen(name) > LENGTH_MAX)
        return NULL;
    for (; table->name != NULL; table++) {
        if (strlen(table->name) > LENGTH_MAX)
            continue;
        size_t distance = edit_distance(name, table->name);
        if (distance < best_distance) {
            best = table->name;
            best_distance = distance;
        }
    }
    return best;
}

static bool has_name(const struct config_option *table, const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return true;
    return false;
}

/* The section whose table has NAME, or NULL. */
static const char *find_home(const struct config_option *root, const char *name)
{
    for (; root->name != NULL; root++)
        if (root->options != NULL && has_name(root->options, name))
            return root->name;
    return NULL;
}

void config_names_explain(const struct config_option *root, const struct config_option *table,
                          const char *section, const char *name, struct fault *fault)
{
    const char *in = section != NULL ? " in " : "";
    const char *where = section != NULL ? section : "";
    const char *home = find_home(root, name);
    const char *similar = find_similar(table, name);
    if (section == NULL && home != NULL)
        fault_set(fault, 0, "unknown option '%.64s' here; it belongs into section '%s'", name, home);
    else if (section != NULL && has_name(root, name))
        fault_set(fault, 0, "unknown option '%.64s' in %s; it belongs outside of the section", name, where);
    else if (similar != NULL)
        fault_set(fault, 0, "unknown option '%.64s'%s%s; did you mean '%s'?", name, in, where, similar);
    else
        fault_set(fault, 0, "unknown option '%.64s'%s%s; -T shows those that there are", name, in, where);
}

const char *config_names_hint(const char *message)
{
    static const char *const hints[][2] = {
        {"missing equal sign", "; write NAME = VALUE"},
        {"premature end of file", "; the file ends in the midst of an option"},
        {"missing title", "; write NAME TITLE { … }"},
        {"found duplicate title", "; each section needs a title of its own"},
        {"unexpected token", "; write NAME = VALUE, or NAME = {\"ONE\", \"TWO\"} for several"},
        {"attempt to append", "; write = instead of +="},
        {"missing opening brace", "; write NAME { … }"},
        {"missing parenthesis", "; write include(\"FILE\")"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (strncmp(message, hints[i][0], strlen(hints[i][0])) == 0)
            return hints[i][1];
    return "";
}
