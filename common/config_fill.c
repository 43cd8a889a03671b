#include "common/config_fill.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_value.h"

const char *config_fill_path(char out[static PATH_MAX], const char *folder, const char *path)
{
    if (path[0] == '/')
        return path;
    int length = snprintf(out, PATH_MAX, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
    return length >= 0 && length < PATH_MAX ? out : NULL;
}

const char *config_fill_folder(char out[static PATH_MAX], const char *file)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');
    if (strlen(file) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    if (slash == NULL)
        strcpy(folder, ".");
    else
        snprintf(folder, sizeof folder, "%.*s", slash == file ? 1 : (int)(slash - file), file);
    return realpath(folder, out);
}

static int put_fallback(const struct config_option *option, const char *folder, void *base)
{
    char path[PATH_MAX];
    const char *text = option->fallback;
    int err = 0;
    if (text == NULL)
        return 0;
    if (option->type == CONFIG_PATH)
        text = config_fill_path(path, folder, text);
    if (text == NULL)
        return ERR_LENGTH;
    if (option->type != CONFIG_STRINGS)
        return config_value_put(option, base, text);
    for (const char *open = strchr(text, '"'); open != NULL && err == 0;) { /* {"one", "two"} */
        const char *close = strchr(open + 1, '"');
        assert(close != NULL);
        char *item = strndup(open + 1, (size_t)(close - open - 1));
        err = item == NULL ? ERR_MEMORY : config_value_put(option, base, item);
        free(item);
        open = strchr(close + 1, '"');
    }
    return err;
}

static int put_place(const struct config_option *option, cfg_opt_t *opt, void *base)
{
    char **place = (char **)(void *)((char *)base + option->place_offset);
    const char *noted = cfg_opt_getcomment(opt);
    *place = noted == NULL ? NULL : strdup(noted);
    return noted != NULL && *place == NULL ? ERR_MEMORY : 0;
}

static int put_values(const struct config_option *option, cfg_opt_t *opt, const char *folder, void *base)
{
    if (opt == NULL || (opt->flags & CFGF_MODIFIED) == 0)
        return put_fallback(option, folder, base);
    int err = 0;
    for (unsigned i = 0; i < cfg_opt_size(opt) && err == 0; i++)
        err = config_value_put(option, base, cfg_opt_getnstr(opt, i));
    return err != 0 || option->place_offset == 0 ? err : put_place(option, opt, base);
}

static int fill_sections(const struct config_option *option, cfg_opt_t *opt, const char *folder, void *field)
{
    struct config_sections *list = field;
    unsigned count = opt == NULL ? 0 : cfg_opt_size(opt);
    int err = 0;
    if (count == 0)
        return 0;
    list->item = calloc(count, option->size);
    if (list->item == NULL)
        return ERR_MEMORY;
    list->count = count;
    for (unsigned i = 0; i < count && err == 0; i++) {
        cfg_t *section = cfg_opt_getnsec(opt, i);
        char *item = (char *)list->item + i * option->size;
        *(char **)(void *)item = strdup(cfg_title(section));
        err = *(char **)(void *)item == NULL ? ERR_MEMORY
                                             : config_fill(option->options, section, folder, item);
    }
    return err;
}

int config_fill(const struct config_option *table, cfg_t *cfg, const char *folder, void *base)
{
    int err = 0;
    for (; table->name != NULL && err == 0; table++) {
        cfg_opt_t *opt = cfg == NULL ? NULL : cfg_getopt(cfg, table->name);
        void *field = (char *)base + table->offset;
        if (table->type == CONFIG_SECTIONS)
            err = fill_sections(table, opt, folder, field);
        else if (table->type == CONFIG_SECTION)
            err = config_fill(table->options,
                              opt == NULL || cfg_opt_size(opt) == 0 ? NULL : cfg_opt_getnsec(opt, 0), folder,
                              field);
        else
            err = put_values(table, opt, folder, base);
    }
    return err;
}
