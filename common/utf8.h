/* Characters in UTF-8 (RFC 3629), in texts that others may have chosen. Pure; any thread. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length, 1 to 4 bytes, of the character that begins at TEXT, of which LEFT bytes are there (a zero ends
 * it, too); *POINT is its code point. 0 when what stands there is no character, as an overlong one or half a
 * surrogate. */
size_t utf8_read(const char *text, size_t left, uint32_t *point);
/* Whether a reader sees POINT as it is: not so controls, what turns the direction of a text round, ends a
 * line, or has no width, and code points that are no characters. */
bool utf8_is_visible(uint32_t point);

#endif
