#include "common/shell.h"

#include <stdbool.h>
#include <string.h>

/* Characters that mean nothing to a shell, wherever they stand in a word. */
static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+,:@%";

static bool is_safe(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (memchr(safe, text[i], sizeof safe - 1) == NULL)
            return false;
    return length > 0;
}

/* Whether there was room for LENGTH bytes and a 0. */
static bool append_bytes(struct shell_room *room, size_t *at, const char *bytes, size_t length)
{
    if (length >= sizeof room->text - *at)
        return false;
    memcpy(room->text + *at, bytes, length);
    *at += length;
    room->text[*at] = 0;
    return true;
}

/* A quote ends the quoted part, stands after a backslash, and a new part begins. */
static bool put_quoted(struct shell_room *room, size_t *at, const char *text, size_t length)
{
    bool fits = append_bytes(room, at, "'", 1);
    for (size_t i = 0; fits && i < length; i++)
        fits = text[i] == '\'' ? append_bytes(room, at, "'\\''", 4) : append_bytes(room, at, text + i, 1);
    return fits && append_bytes(room, at, "'", 1);
}

const char *shell_word(struct shell_room *room, const char *text, size_t length)
{
    size_t at = 0;
    bool fits = length == 0 || text[0] != '-' || append_bytes(room, &at, "./", 2);
    if (fits)
        fits = is_safe(text, length) ? append_bytes(room, &at, text, length)
                                     : put_quoted(room, &at, text, length);
    return fits ? room->text : SHELL_WORD_TOO_LONG;
}
