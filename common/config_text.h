/* The text of a configuration file before libconfuse sees it: finds, with its line, what that library would
 * accept silently.
 *
 * Not the grammar: names, sections and values are judged later. Pure; start-up only. */
#ifndef COMMON_CONFIG_TEXT_H
#define COMMON_CONFIG_TEXT_H

#include <stddef.h>

#include "common/config_places.h"
#include "common/err.h"

#define CONFIG_TEXT_DEPTH_MAX 16 /* braces inside braces */

/* Checks the zero-terminated TEXT of LENGTH bytes and blanks its comments in place, line ends kept, because
 * libconfuse counts lines wrongly after block comments. PLACES, empty, receives every name that is given a
 * value or begins a section; they point into TEXT. ERR_CONFIG with the fault "FILE:LINE: …" for braces,
 * quotes and comments that are not closed, bytes that are no text, characters that would vanish outside of
 * quotes, environment variables that are not set, and calls other than include("file"). */
int config_text_prepare(char *text, size_t length, const char *file, struct config_places *places,
                        struct fault *fault) MUST_USE;

#endif
