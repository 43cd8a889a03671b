/* Whose configuration a file is, a key server's or an edge's, by the options that only one of the two has.
 * Pure; start-up only. */
#ifndef COMMON_CONFIG_SIDE_H
#define COMMON_CONFIG_SIDE_H

#include <stdbool.h>

#include "common/config_places.h"

enum config_side { CONFIG_SIDE_UNKNOWN, CONFIG_SIDE_SERVER, CONFIG_SIDE_EDGE };

/* The options of SIDE that stand outside of sections and that the other has not; NULL-ended. SIDE is not
 * CONFIG_SIDE_UNKNOWN. */
const char *const *config_side_names(enum config_side side);
/* The side that more of the options at PLACES belong to; unknown when none of them or as many belong to
 * each. */
enum config_side config_side_find(const struct config_places *places);
/* Says into FAULT that the file with these PLACES is of the other daemon, when it is, and NAME is an option
 * that only that one has; true then. To be called where NAME is no option of this one. */
bool config_side_explain(const struct config_places *places, const char *name, struct fault *fault);

#endif
