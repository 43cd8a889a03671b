#include "common/config.h"
#include "common/config_value.h"

#define INDENT 4

static int dump(const struct config_option *table, const void *filled, int indent, struct buffer *out);

/* NAME TITLE { … } */
static int dump_section(const struct config_option *option, const char *title, const void *filled, int indent,
                        struct buffer *out)
{
    int err = buffer_printf(out, "%*s%s ", indent, "", option->name);
    if (err == 0 && title != NULL)
        err = config_value_quote(title, out);
    if (err == 0)
        err = buffer_printf(out, "%s{\n", title != NULL ? " " : "");
    if (err == 0)
        err = dump(option->options, filled, indent + INDENT, out);
    return err != 0 ? err : buffer_printf(out, "%*s}\n", indent, "");
}

static int dump_sections(const struct config_option *option, const struct config_sections *list, int indent,
                         struct buffer *out)
{
    int err = 0;
    for (size_t i = 0; i < list->count && err == 0; i++) {
        const char *item = (const char *)list->item + i * option->size;
        err = dump_section(option, *(char *const *)(const void *)item, item, indent, out);
    }
    return err;
}

static bool is_unset(const struct config_option *option, const void *filled)
{
    const char *field = (const char *)filled + option->offset;
    const char *place = (const char *)filled + option->place_offset;
    if (option->place_offset != 0 && option->fallback == NULL)
        return *(char *const *)(const void *)place == NULL;
    return (option->type == CONFIG_STRING || option->type == CONFIG_PATH) &&
           *(char *const *)(const void *)field == NULL;
}

static int dump_value(const struct config_option *option, const void *filled, int indent, struct buffer *out)
{
    if (is_unset(option, filled))
        return buffer_printf(out, "%*s# %s is not set\n", indent, "", option->name);
    int err = buffer_printf(out, "%*s%s = ", indent, "", option->name);
    if (err == 0)
        err = config_value_write(option, filled, out);
    return err != 0 ? err : buffer_printf(out, "\n");
}

static int dump(const struct config_option *table, const void *filled, int indent, struct buffer *out)
{
    int err = 0;
    for (; table->name != NULL && err == 0; table++) {
        const void *field = (const char *)filled + table->offset;
        if (table->help != NULL)
            err = buffer_printf(out, "%*s# %s\n", indent, "", table->help);
        if (err != 0)
            break;
        if (table->type == CONFIG_SECTIONS)
            err = dump_sections(table, field, indent, out);
        else if (table->type == CONFIG_SECTION)
            err = dump_section(table, NULL, field, indent, out);
        else
            err = dump_value(table, filled, indent, out);
    }
    return err;
}

int config_dump(const struct config_option *table, const void *filled, struct buffer *out)
{
    return dump(table, filled, 0, out);
}
