/* Where the options of a configuration file stand: every name that is given a value or begins a section,
 * with its line, in the order of the file. Points into the file's text. Pure; start-up only. */
#ifndef COMMON_CONFIG_PLACES_H
#define COMMON_CONFIG_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct config_place {
    const char *name; /* borrowed; LENGTH bytes of the text */
    size_t length;
    unsigned line;  /* 1 … */
    unsigned depth; /* braces around it; 0: it stands outside of all sections */
    bool adds;      /* "+=": a second one of that name is no fault */
};

/* Zero-initialised is empty. */
struct config_places {
    struct config_place *item; /* owned */
    size_t count, size;
};

/* Adds PLACE, in a line that is not before the last one's. */
int config_places_add(struct config_places *places, const struct config_place *place) MUST_USE;
/* The last NAME in LINE or before; NULL when there is none. Borrowed until the next is added. */
const struct config_place *config_places_find(const struct config_places *places, const char *name,
                                              unsigned line);
void config_places_clear(struct config_places *places);

#endif
