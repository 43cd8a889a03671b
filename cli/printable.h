/* Texts that may come from a peer, on their way to a person's terminal. */
#ifndef CLI_PRINTABLE_H
#define CLI_PRINTABLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"

/* What may stay in a text. No control character may, of ASCII or of Unicode (U+0080 to U+009F): a terminal
 * obeys them. Nor may characters that a reader does not see (utf8.h), nor bytes that are no UTF-8: a terminal
 * may take them for some. */
enum printable {
    PRINTABLE_LINE,  /* one line in UTF-8 */
    PRINTABLE_LINES, /* UTF-8 with ends of lines */
    PRINTABLE_ASCII, /* one line of ASCII */
};

/* The text that FORMAT makes, with '?' for every byte that may not stay; the caller's, NULL without memory.
 */
char *printable_text(enum printable kind, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
/* Writes it to OUT; nothing without memory. */
void printable_write(FILE *out, enum printable kind, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
