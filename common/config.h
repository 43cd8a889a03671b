/* Configuration files: libconfuse behind tables, with errors that name file, line and what would be right.
 *
 * The only user of libconfuse. A program describes its options in tables of `struct config_option`; parsing
 * fills the fields of a struct. Paths are resolved against the folder of the file they stand in. Not for
 * secrets. Start-up only. */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/bytes.h"
#include "common/config_files.h"

#define CONFIG_TITLE_MAX 127 /* bytes of the title of a section */

enum config_type {
    CONFIG_STRING,   /* char *          owned, NULL when unset and without default */
    CONFIG_PATH,     /* char *          owned; made absolute against the file's folder */
    CONFIG_STRINGS,  /* struct config_strings */
    CONFIG_BOOL,     /* bool            on/off, yes/no, true/false */
    CONFIG_INT,      /* int             between min and max */
    CONFIG_DURATION, /* uint64_t        milliseconds; written "500ms", "2s", "5m", "1h" */
    CONFIG_SIZE,     /* uint64_t        bytes; written "64k", "16M", "1G" */
    CONFIG_CHOICE,   /* int             index into `choices` */
    CONFIG_SECTION,  /* one sub-struct, always present; written  name { … } */
    CONFIG_SECTIONS, /* struct config_sections of titled sub-structs; written  name TITLE { … }, titles unique
                      */
};

struct config_strings {
    char **item; /* owned, `count` owned strings */
    size_t count;
};

struct config_sections {
    void *item; /* owned array of `count` structs of the option's `size`; the first member of each is char
                 *title */
    size_t count;
};

struct config_option {
    const char *name;
    enum config_type type;
    size_t offset;              /* of the field in the struct that is filled */
    const char *fallback;       /* the default as it would be written, NULL for none */
    long min, max;              /* CONFIG_INT, CONFIG_DURATION (ms), CONFIG_SIZE: bounds; max 0 = none */
    const char *const *choices; /* CONFIG_CHOICE, and CONFIG_STRINGS of a few words: names, NULL-ended */
    /* CONFIG_STRING, CONFIG_STRINGS: NULL when TEXT may be the value (of an item), else what it is instead,
     * and what would be right: "not a rate; write …". NULL: any text may. */
    const char *(*check)(const char *text);
    /* Offset of an owned char * in the struct. It receives where the option was set, as faults say it,
     * "server.conf:14" (the last time, the line of its name), and stays NULL when the option was not set. 0 =
     * not wanted. Not for sections. */
    size_t place_offset;
    const struct config_option
        *options;     /* CONFIG_SECTION(S): the table of what is inside, ends with name NULL */
    size_t size;      /* CONFIG_SECTIONS: size of one item */
    const char *help; /* one line for -T and the manual */
};

/* Fills the zeroed struct INTO from FILE by TABLE (ends with a NULL name). `include("other.conf")` works,
 * relative to the including file, at most 8 deep. Unknown option, wrong type, out of range, a missing closing
 * brace: ERR_CONFIG with a fault such as /etc/keyless/edge.conf:12: unknown option 'orign'; did you mean
 * 'origin'? On error INTO is cleared. FILES, empty, receives the files that were read, for who judges whose
 * they may be; the caller's to clear, in any case. NULL: not wanted. */
int config_load(const char *file, const struct config_option *table, void *into, struct config_files *files,
                struct fault *fault) MUST_USE;
/* The same of what FD holds, which may be shared with other processes and stays the caller's; FILE is for
 * messages, and what relative paths start from. */
int config_load_sealed(int fd, const char *file, const struct config_option *table, void *into,
                       struct fault *fault) MUST_USE;
/* Frees what config_load filled and zeroes the fields. */
void config_clear(const struct config_option *table, void *filled);
/* Writes the effective configuration of FILLED, defaults included, in a form config_load reads back to the
 * same values. An option without a default that has a place, and was not set, stays so. */
int config_dump(const struct config_option *table, const void *filled, struct buffer *out) MUST_USE;

#endif
