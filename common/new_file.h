/* Files that are written whole, at once: a key, a line. */
#ifndef COMMON_NEW_FILE_H
#define COMMON_NEW_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* Writes all LENGTH bytes at BYTES to FD, a file or a pipe, however often it is interrupted. ERR_SYSTEM with
 * errno; a part of them may be written then. */
int new_file_write(int fd, const void *bytes, size_t length) MUST_USE;
/* Makes the file PATH with exactly MODE, whatever the umask, and LENGTH bytes that are on the disk then. It
 * gets its name when it is whole: whoever is killed meanwhile leaves no part of it, but perhaps a hidden file
 * `.keyless-new-…` beside it. Nor does it take a file system with hard links.
 * ERR_REFUSED when something of that name exists, which stays as it is; ERR_SYSTEM, and there is no file. */
int new_file_make(const char *path, mode_t mode, const void *bytes, size_t length,
                  struct fault *fault) MUST_USE;

#endif
