/* The text of one configuration file, for config.c. Start-up, reload and commands. */
#ifndef COMMON_CONFIG_READ_H
#define COMMON_CONFIG_READ_H

#include <stddef.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/plain_file.h"

struct config_read {
    char *text; /* owned, zero-terminated; free() it */
    size_t length;
    struct stat info; /* of the file */
};

/* Reads PATH, without a byte order mark. Who else may write to the file decides what the daemon does: it is
 * refused then (permissions.h); its owner is the caller's to judge, when it is known whose it may be. A fault
 * says what is wrong, without PATH before it: ERR_CONFIG, ERR_MEMORY, ERR_SYSTEM. */
int config_read(const char *path, enum plain_file_kinds kinds, struct config_read *out,
                struct fault *fault) MUST_USE;
/* The same of FD, a sealed memory file that another process of ours has filled from many files. */
int config_read_sealed(int fd, struct config_read *out, struct fault *fault) MUST_USE;

#endif
