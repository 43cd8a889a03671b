#include "cli/printable.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

static bool may_stay(enum printable kind, char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte == '\n')
        return kind == PRINTABLE_LINES;
    return byte >= ' ' && byte < 0x7f;
}

/* The bytes of the character at AT when it is one beyond ASCII that may stay; otherwise 0. */
static size_t character_length(const char *at)
{
    uint32_t point;
    size_t length = utf8_read(at, strnlen(at, 4), &point);
    return length > 1 && utf8_is_visible(point) ? length : 0;
}

char *printable_text(enum printable kind, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return NULL;
    for (char *at = text; *at != 0;) {
        size_t length = kind == PRINTABLE_ASCII ? 0 : character_length(at);
        if (length == 0 && !may_stay(kind, *at))
            *at = '?';
        at += length == 0 ? 1 : length;
    }
    return text;
}

void printable_write(FILE *out, enum printable kind, const char *format, va_list arguments)
{
    char *text = printable_text(kind, format, arguments);
    if (text != NULL)
        fputs(text, out);
    free(text);
}
