/* Plain files: opens what a path names for reading, without waiting. A FIFO would wait for its other end, a
 * terminal for a person. Start-up, reload and commands. */
#ifndef COMMON_PLAIN_FILE_H
#define COMMON_PLAIN_FILE_H

#include <stdio.h>
#include <sys/types.h>

#include "common/err.h"

enum plain_file_kinds {
    PLAIN_FILE_ONLY,
    /* Or what this process was given open, by a path like /dev/stdin: its standard input, or a pipe without a
     * name, as a shell puts in place of a file ("<(command)"). It is waited for: there is another end. */
    PLAIN_FILE_OR_GIVEN,
};

/* A descriptor of PATH. ERR_NOT_FOUND, ERR_SYSTEM: with errno; ERR_CONFIG: no plain file. Then *WHY says why,
 * until the next call of strerror(): "it is a FIFO, not a regular file". */
int plain_file_open(const char *path, enum plain_file_kinds kinds, const char **why) MUST_USE;
/* The same as a stream, owned; NULL with *WHY. */
FILE *plain_file_open_stream(const char *path, enum plain_file_kinds kinds, const char **why) MUST_USE;
/* Why a file of MODE is not opened: "it is a FIFO, not a regular file". MODE is not that of a regular one. */
const char *plain_file_refusal(mode_t mode);

#endif
