/* Names that a peer chooses (of servers, of protocols) in the log. Pure; any thread. */
#ifndef COMMON_NAME_TEXT_H
#define COMMON_NAME_TEXT_H

#include <stddef.h>

/* Bytes for a name of LENGTH, with the end of the text. */
#define NAME_TEXT_SIZE(length) (3 * (length) + 1)

/* TEXT with every byte that has no place in a name as %XX, cut to SIZE (above 3); "-" for NULL and "", which
 * no name becomes. Returns OUT. */
char *name_text(char *out, size_t size, const char *text);

#endif
