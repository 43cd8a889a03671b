#include "cli/printable.h"

#include <stdint.h>
#include <stdlib.h>

static bool may_stay(enum printable kind, char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte == '\n')
        return kind == PRINTABLE_LINES;
    return byte >= ' ' && byte < 0x7f;
}

/* The bytes of the character that begins at AT when it is one of UTF-8 (RFC 3629) beyond ASCII, and no
 * control character, as U+0080 to U+009F are; otherwise 0. */
static size_t character_length(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    static const uint32_t least[] = {
        [2] = 0xa0, [3] = 0x800, [4] = 0x10000}; /* not written longer than need be */
    size_t length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4)
        return 0;
    uint32_t value = bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) /* the end of the text, too */
            return 0;
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    return value >= least[length] && value <= 0x10ffff && !surrogate ? length : 0;
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
