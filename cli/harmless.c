#include "cli/harmless.h"

#include <stdlib.h>

static bool may_stay(enum harmless kind, char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte == '\n')
        return kind == HARMLESS_LINES;
    return byte >= ' ' && byte != 0x7f && (byte < 0x80 || kind != HARMLESS_ASCII);
}

char *harmless_text(enum harmless kind, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return NULL;
    for (char *at = text; *at != 0; at++)
        if (!may_stay(kind, *at))
            *at = '?';
    return text;
}

void harmless_write(FILE *out, enum harmless kind, const char *format, va_list arguments)
{
    char *text = harmless_text(kind, format, arguments);
    if (text != NULL)
        fputs(text, out);
    free(text);
}
