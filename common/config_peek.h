/* Reads one option of a configuration file that is not parsed yet, such as the log format in which a parse
 * error is reported.
 *
 * Finds lines NAME = WORD that begin in a line of their own, the last one counts. Sees neither included files
 * nor what stands in a line behind something else. Start-up only. */
#ifndef COMMON_CONFIG_PEEK_H
#define COMMON_CONFIG_PEEK_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_PEEK_MAX (1 << 20) /* bytes of the file that are looked at */

/* The value in OUT of SIZE bytes, without quotes; false when there is none, when it does not fit, or when
 * FILE cannot be read or is no regular file. */
bool config_peek(const char *file, const char *name, char *out, size_t size);

#endif
