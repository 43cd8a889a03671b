/* From what libconfuse has read to the fields of a struct: the second half of loading a configuration.
 * Start-up only. */
#ifndef COMMON_CONFIG_FILL_H
#define COMMON_CONFIG_FILL_H

#include <confuse.h>
#include <limits.h>

#include "common/config.h"

/* PATH itself when it is absolute, else FOLDER/PATH in OUT; NULL when that becomes too long. */
const char *config_fill_path(char out[static PATH_MAX], const char *folder, const char *path);
/* The absolute path of the folder of FILE in OUT; NULL, and errno says why. */
const char *config_fill_folder(char out[static PATH_MAX], const char *file);
/* Sets every field of TABLE in the zeroed struct at BASE. CFG is NULL for a section that is not written;
 * where an option was set is its comment. Default paths start from FOLDER. ERR_MEMORY, ERR_LENGTH. */
int config_fill(const struct config_option *table, cfg_t *cfg, const char *folder, void *base) MUST_USE;

#endif
