/* The files that a configuration was read from. Whoever may change one of them, or put another in its place,
 * says what the daemon does. Start-up, reload and commands. */
#ifndef COMMON_CONFIG_FILES_H
#define COMMON_CONFIG_FILES_H

#include <stddef.h>
#include <sys/stat.h>

#include "common/err.h"

/* Zero-initialised is empty. Private. */
struct config_files {
    struct config_file {
        char *path;
        uid_t owner;
    } * item;
    size_t count;
};

/* Adds PATH, which INFO is of. ERR_MEMORY. */
int config_files_add(struct config_files *files, const char *path, const struct stat *info) MUST_USE;
/* Whether none is somebody else's, or where others can replace it (permissions.h). Whose they may be, the
 * configuration says itself: so to be called when that has been read, and been told to permissions.h.
 * ERR_CONFIG with the fault. */
int config_files_judge(const struct config_files *files, struct fault *fault) MUST_USE;
void config_files_clear(struct config_files *files);

#endif
