#include "common/config.h"

#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config_files.h"
#include "common/config_fill.h"
#include "common/config_names.h"
#include "common/config_read.h"
#include "common/config_text.h"
#include "common/config_value.h"

#define INCLUDE_MAX 8 /* files inside files */
#define TITLE_MAX   CONFIG_TITLE_MAX
#define OPTIONS_MAX 256
#define PLACE_SIZE  (PATH_MAX + 16)

/* A titled section that has been read. */
struct title {
    char *text, *place; /* owned; NULL without memory */
};

/* One file that is being read. */
struct source {
    char name[PATH_MAX];   /* as messages name it */
    char folder[PATH_MAX]; /* absolute: what relative paths start from */
    dev_t device;          /* with the inode: the same file again is a loop */
    ino_t inode;
    struct config_places places; /* where its options stand */
};

struct load {
    struct source sources[1 + INCLUDE_MAX];
    int depth;                                    /* sources in use */
    cfg_opt_t options[OPTIONS_MAX];               /* libconfuse's tables, one after the other */
    const struct config_option *own[OPTIONS_MAX]; /* ours, at the same places */
    long option_count;
    char path[PATH_MAX];  /* the last path that was made absolute */
    struct title *titles; /* owned */
    size_t title_count;
    int sealed;                 /* what the main file says, instead of the file; -1 = none */
    struct config_files *files; /* NULL: not wanted */
    struct fault *fault;
    int err; /* the first error; later ones follow from it */
};

/* libconfuse hands its callbacks no pointer of ours, and its scanner has one global state anyway. */
static struct load *current;

static const char *file_name(const struct load *load)
{
    return load->sources[load->depth - 1].name;
}

/* Keeps the first fault, with the place. */
static int fail(struct load *load, int line, int err, const char *what)
{
    if (load->err != 0)
        return load->err;
    load->err = err;
    return fault_set(load->fault, err, "%s:%d: %s", file_name(load), line, what);
}

/* ---- what libconfuse calls ---- */

/* PATH against the folder of the file it stands in; NULL when it becomes too long. */
static const char *absolute(struct load *load, const char *path)
{
    return config_fill_path(load->path, load->sources[load->depth - 1].folder, path);
}

/* Checks one value while its line is known; its text becomes a typed value when everything has been read. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    const struct config_option *option = current->own[opt->def.number];
    struct fault what;
    int err = config_value_check(option, value, &what);
    if (err != 0)
        return fail(current, cfg->line, err, what.text);
    if (option->type == CONFIG_PATH)
        value = absolute(current, value);
    if (value == NULL)
        return fail(current, cfg->line, ERR_CONFIG, "the path becomes too long with the folder of this file");
    *(const char **)result = value;
    return 0;
}

/* An option is set twice, and one of the values would be ignored. */
static int fail_twice(struct load *load, unsigned line, const char *what, const char *first)
{
    struct fault why;
    fault_set(&why, 0, "%.160s stands in %s already; join the two, or remove one", what, first);
    return fail(load, (int)line, ERR_CONFIG, why.text);
}

/* Where NAME stands, in LINE or before, as faults say it; NULL when it is not in this file. */
static const struct config_place *find_place(struct load *load, const char *name, int line,
                                             char text[static PLACE_SIZE])
{
    const struct config_places *places = &load->sources[load->depth - 1].places;
    const struct config_place *place = config_places_find(places, name, (unsigned)line);
    if (place != NULL)
        snprintf(text, PLACE_SIZE, "%s:%u", file_name(load), place->line);
    return place;
}

/* Notes where OPT was set, in LINE or before, in the comment that libconfuse keeps with each option and
 * frees. An option that has such a comment from another place is set twice. */
static int note_place(struct load *load, cfg_opt_t *opt, int line)
{
    char text[PLACE_SIZE], what[160];
    bool list = (opt->flags & CFGF_LIST) != 0; /* libconfuse calls this once per item */
    const char *first = cfg_opt_getcomment(opt);
    const struct config_place *place = find_place(load, opt->name, line, text);
    if (place == NULL || (first != NULL && place->adds))
        return 0; /* it was set in another file, and noted there */
    snprintf(what, sizeof what, "%s '%s'", opt->type == CFGT_SEC ? "section" : "option", opt->name);
    if (first != NULL && (!list || strcmp(first, text) != 0))
        return fail_twice(load, place->line, what, first);
    if (cfg_opt_setcomment(opt, text) != CFG_SUCCESS)
        return fail(load, line, ERR_MEMORY, err_string(ERR_MEMORY));
    return 0;
}

/* After each value. */
static int on_set(cfg_t *cfg, cfg_opt_t *opt)
{
    return note_place(current, opt, cfg->line);
}

/* libconfuse reports nothing for an empty list: it is found when its section ends. */
static int note_empty_lists(struct load *load, const cfg_t *in, int line)
{
    int err = 0;
    for (cfg_opt_t *opt = in->opts; opt->name != NULL && err == 0; opt++)
        if (opt->type == CFGT_STR && (opt->flags & CFGF_LIST) != 0 && (opt->flags & CFGF_MODIFIED) != 0 &&
            cfg_opt_size(opt) == 0)
            err = note_place(load, opt, line);
    return err;
}

/* Keeps where the section TITLE begins, for the complaint about a second one. */
static int note_title(struct load *load, const cfg_opt_t *opt, const char *title, int line)
{
    char text[PLACE_SIZE];
    if (find_place(load, opt->name, line, text) == NULL)
        return 0;
    struct title *titles = reallocarray(load->titles, load->title_count + 1, sizeof *titles);
    if (titles == NULL)
        return fail(load, line, ERR_MEMORY, err_string(ERR_MEMORY));
    load->titles = titles;
    titles[load->title_count] = (struct title){strdup(title), strdup(text)};
    load->title_count++;
    return 0;
}

/* TITLE, quoted from libconfuse's complaint, is that of an earlier section. */
static int explain_title(struct load *load, const char *title, int line)
{
    char what[TITLE_MAX + 40];
    size_t length = strcspn(title, "'");
    for (size_t i = 0; i < load->title_count; i++) {
        const struct title *known = &load->titles[i];
        if (known->text == NULL || known->place == NULL || strlen(known->text) != length ||
            memcmp(known->text, title, length) != 0)
            continue;
        snprintf(what, sizeof what, "a section with the title '%.*s'", (int)length, title);
        return fail_twice(load, (unsigned)line, what, known->place);
    }
    return 0;
}

static void explain_unknown(struct load *load, const cfg_t *cfg, const char *name)
{
    struct fault what;
    const struct config_option *table = load->own[cfg->opts[0].def.number];
    const char *section = strcmp(cfg->name, "root") == 0 ? NULL : cfg->name;
    config_names_explain(load->own[0], table, section, name, &load->sources[load->depth - 1].places, &what);
    fail(load, cfg->line, ERR_CONFIG, what.text);
}

static void on_error(cfg_t *cfg, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
static void on_error(cfg_t *cfg, const char *format, va_list arguments)
{
    static const char unknown[] = "no such option '", duplicate[] = "found duplicate title '";
    char text[512];
    vsnprintf(text, sizeof text, format, arguments);
    if (strncmp(text, unknown, sizeof unknown - 1) == 0) {
        char *name = text + sizeof unknown - 1;
        name[strcspn(name, "'")] = 0;
        explain_unknown(current, cfg, name);
        return;
    }
    if (strncmp(text, duplicate, sizeof duplicate - 1) == 0)
        explain_title(current, text + sizeof duplicate - 1, cfg->line); /* the first fault stays */
    struct fault what;
    fault_set(&what, 0, "%s%s", text, config_names_hint(text));
    fail(current, cfg->line, ERR_CONFIG, what.text);
}

/* Titles appear in logs and metrics, so their characters are limited. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
    const cfg_t *section = opt->values[opt->nvalues - 1]->section;
    const char *title = section->title;
    int err = note_empty_lists(current, section, cfg->line);
    if (err != 0)
        return err;
    if (title == NULL)
        return note_place(current, opt, cfg->line);
    if (config_value_is_title(title, strlen(title)))
        return note_title(current, opt, title, cfg->line);
    return fail(
        current, cfg->line, ERR_CONFIG,
        "the title of the section that ends here is no name; write 1 to 127 letters, digits, '.', '_', "
        "'-', '/'");
}

static int parse_file(struct load *load, cfg_t *cfg, const char *path, int line);

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
    (void)opt;
    char path[PATH_MAX];
    if (argc != 1)
        return fail(current, cfg->line, ERR_CONFIG, "include takes one file: include(\"file\")");
    const char *found = absolute(current, argv[0]);
    if (found == NULL || strlen(found) >= sizeof path)
        return fail(current, cfg->line, ERR_CONFIG, "the path of the included file is too long");
    memcpy(path, found, strlen(found) + 1);
    return parse_file(current, cfg, path, cfg->line);
}

/* ---- files ---- */

/* A fault about a whole file: by its name, or by the line that includes it. */
static int fail_file(struct load *load, int line, const char *path, const char *why)
{
    struct fault what;
    if (load->err != 0)
        return load->err;
    if (load->depth > 0) {
        fault_set(&what, 0, "include of %s: %s", path, why);
        return fail(load, line, ERR_CONFIG, what.text);
    }
    load->err = ERR_CONFIG;
    return fault_set(load->fault, ERR_CONFIG, "%s: %s", path, why);
}

/* Reads PATH, or what stands for the main file. */
static int read_source(struct load *load, const char *path, int line, struct config_read *out)
{
    struct fault why = {.text = ""};
    bool sealed = load->depth == 0 && load->sealed >= 0;
    int err = sealed ? config_read_sealed(load->sealed, out, &why)
                     : config_read(path, load->depth == 0 ? PLAIN_FILE_OR_GIVEN : PLAIN_FILE_ONLY, out, &why);
    return err != 0 ? fail_file(load, line, path, why.text) : 0;
}

/* Enters PATH into the files being read. */
static int push_source(struct load *load, const char *path, int line, const struct stat *info)
{
    for (int i = 0; i < load->depth; i++)
        if (load->sources[i].device == info->st_dev && load->sources[i].inode == info->st_ino)
            return fail_file(load, line, path, "it is being read already: the files include each other");
    if (load->depth > INCLUDE_MAX)
        return fail_file(load, line, path, "files include files more than 8 deep");
    struct source *source = &load->sources[load->depth];
    if (config_fill_folder(source->folder, path) == NULL)
        return fail_file(load, line, path, strerror(errno));
    if (!config_value_is_text(source->folder))
        return fail_file(load, line, path,
                         "the path of its folder has a tab, line end or other control character; move it");
    memcpy(source->name, path, strlen(path) + 1);
    source->device = info->st_dev;
    source->inode = info->st_ino;
    source->places = (struct config_places){.count = 0};
    load->depth++;
    return 0;
}

/* Lets libconfuse parse TEXT into CFG, which may be in the middle of another file. */
static int parse_text(struct load *load, cfg_t *cfg, char *text, size_t length)
{
    int line = cfg->line;
    int err = config_text_prepare(text, length, file_name(load), &load->sources[load->depth - 1].places,
                                  load->err == 0 ? load->fault : NULL);
    if (err != 0) {
        load->err = err;
        return err;
    }
    if (length == 0)
        return 0;
    FILE *file = fmemopen(text, length, "r");
    if (file == NULL)
        return fail(load, 1, ERR_MEMORY, err_string(ERR_MEMORY));
    if (cfg_parse_fp(cfg, file) != CFG_SUCCESS)
        err = fail(load, cfg->line, ERR_CONFIG, "syntax error");
    else
        err = note_empty_lists(load, cfg, cfg->line);
    fclose(file);
    cfg->line = line;
    return err;
}

static int parse_file(struct load *load, cfg_t *cfg, const char *path, int line)
{
    struct config_read read;
    int err = read_source(load, path, line, &read);
    if (err == 0 && load->files != NULL && (err = config_files_add(load->files, path, &read.info)) != 0)
        err = fail(load, line, err, err_string(err));
    if (err == 0)
        err = push_source(load, path, line, &read.info);
    if (err == 0) {
        err = parse_text(load, cfg, read.text, read.length);
        config_places_clear(&load->sources[--load->depth].places);
    }
    free(read.text);
    return err;
}

/* ---- tables ---- */

static cfg_opt_t *add_option(struct load *load, const char *name, cfg_type_t type, cfg_flag_t flags)
{
    assert(load->option_count < OPTIONS_MAX);
    cfg_opt_t *opt = &load->options[load->option_count];
    opt->name = name;
    opt->type = type;
    opt->flags = flags;
    opt->def.number = load->option_count++; /* where to find our own option again */
    return opt;
}

/* Appends TABLE in libconfuse's form to what has been built so far. Every value is a text without a default:
 * a default would hide whether the file sets the option. */
static cfg_opt_t *build_options(struct load *load, const struct config_option *table)
{
    long first = load->option_count;
    for (const struct config_option *option = table; option->name != NULL; option++) {
        bool section = option->type == CONFIG_SECTION || option->type == CONFIG_SECTIONS;
        cfg_flag_t flags = CFGF_NODEFAULT;
        if (option->type == CONFIG_STRINGS)
            flags |= CFGF_LIST;
        if (option->type == CONFIG_SECTIONS)
            flags |= CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
        load->own[load->option_count] = option;
        cfg_opt_t *opt = add_option(load, option->name, section ? CFGT_SEC : CFGT_STR, flags);
        opt->validcb = section ? on_section : on_set;
        if (!section)
            opt->parsecb = on_value;
    }
    add_option(load, "include", CFGT_FUNC, CFGF_NODEFAULT)->func = on_include;
    add_option(load, NULL, CFGT_NONE, CFGF_NONE);
    for (long i = first; load->options[i].name != NULL; i++)
        if (load->options[i].type == CFGT_SEC)
            load->options[i].subopts = build_options(load, load->own[i]->options);
    return &load->options[first];
}

/* ---- the whole ---- */

static int load_with(struct load *load, const char *file, const struct config_option *table, void *into)
{
    cfg_t *cfg = cfg_init(build_options(load, table), CFGF_NONE);
    if (cfg == NULL)
        return fault_set(load->fault, ERR_MEMORY, "%s: %s", file, err_string(ERR_MEMORY));
    cfg_set_error_function(cfg, on_error);
    int err = parse_file(load, cfg, file, 0);
    /* Defaults start from the folder of the main file. */
    if (err == 0 && (err = config_fill(table, cfg, load->sources[0].folder, into)) != 0)
        fault_set(load->fault, err, "%s: %s", file, err_string(err));
    cfg_free(cfg);
    return err;
}

static int load_from(int sealed, const char *file, const struct config_option *table, void *into,
                     struct config_files *files, struct fault *fault)
{
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: %s", file, err_string(ERR_MEMORY));
    load->fault = fault;
    load->sealed = sealed;
    load->files = files;
    current = load;
    int err = load_with(load, file, table, into);
    current = NULL;
    for (size_t i = 0; i < load->title_count; i++) {
        free(load->titles[i].text);
        free(load->titles[i].place);
    }
    free(load->titles);
    free(load);
    if (err != 0)
        config_clear(table, into);
    return err;
}

int config_load(const char *file, const struct config_option *table, void *into, struct config_files *files,
                struct fault *fault)
{
    return load_from(-1, file, table, into, files, fault);
}

int config_load_sealed(int fd, const char *file, const struct config_option *table, void *into,
                       struct fault *fault)
{
    return load_from(fd, file, table, into, NULL, fault);
}
