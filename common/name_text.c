#include "common/name_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char none[] = "-";

char *name_text(char *out, size_t size, const char *text)
{
    size_t at = 0;
    bool is_none = text == NULL || *text == 0;
    bool looks_so = !is_none && strcmp(text, none) == 0;

    for (const char *next = is_none ? none : text; *next != 0 && at + 3 < size; next++) {
        unsigned char c = (unsigned char)*next;
        if (!looks_so && (isalnum(c) || strchr("-._:/*", c) != NULL))
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, size - at, "%%%02X", c);
    }
    out[at] = 0;
    return out;
}
