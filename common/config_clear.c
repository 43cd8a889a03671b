#include <stdlib.h>

#include "common/config.h"
#include "common/config_value.h"

static void clear_sections(const struct config_option *option, struct config_sections *list)
{
    for (size_t i = 0; i < list->count; i++) {
        char *item = (char *)list->item + i * option->size;
        config_clear(option->options, item);
        free(*(char **)(void *)item);
    }
    free(list->item);
    *list = (struct config_sections){0};
}

static void clear_place(const struct config_option *option, void *filled)
{
    char **place = (char **)(void *)((char *)filled + option->place_offset);
    if (option->place_offset == 0)
        return;
    free(*place);
    *place = NULL;
}

void config_clear(const struct config_option *table, void *filled)
{
    for (; table->name != NULL; table++) {
        void *field = (char *)filled + table->offset;
        clear_place(table, filled);
        if (table->type == CONFIG_SECTIONS)
            clear_sections(table, field);
        else if (table->type == CONFIG_SECTION)
            config_clear(table->options, field);
        else
            config_value_clear(table, filled);
    }
}
