/* Hints for faults of a configuration: which known name was meant, how a thing is written. Pure; start-up
 * only. */
#ifndef COMMON_CONFIG_NAMES_H
#define COMMON_CONFIG_NAMES_H

#include "common/config.h"
#include "common/config_places.h"

/* Says into FAULT that NAME is no option of TABLE and what may be meant: a similar name, or the section of
 * ROOT it belongs into, or that the file, which has PLACES, is the other daemon's. SECTION is the name of
 * TABLE's section, NULL outside of all. */
void config_names_explain(const struct config_option *root, const struct config_option *table,
                          const char *section, const char *name, const struct config_places *places,
                          struct fault *fault);
/* What would be right where libconfuse says MESSAGE, with a leading "; "; "" when there is nothing to add. */
const char *config_names_hint(const char *message);

#endif
