#include "common/config_names.h"

#include <string.h>

#include "common/config_side.h"
#include "common/similar.h"

/* The name in TABLE nearest to NAME, or NULL when none is near. */
static const char *find_similar(const struct config_option *table, const char *name)
{
    struct similar similar;
    similar_init(&similar, name);
    for (; table->name != NULL; table++)
        similar_offer(&similar, table->name);
    return similar.best;
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
                          const char *section, const char *name, const struct config_places *places,
                          struct fault *fault)
{
    const char *in = section != NULL ? " in " : "";
    const char *where = section != NULL ? section : "";
    const char *home = find_home(root, name);
    const char *similar = find_similar(table, name);
    if (section == NULL && config_side_explain(places, name, fault))
        return;
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
