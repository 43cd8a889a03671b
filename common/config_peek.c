#include "common/config_peek.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/plain_file.h"

#define BLANKS " \t"

/* True when LINE sets NAME; OUT has the value then, or is empty when the value does not fit. */
static bool read_line(const char *line, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    line += strspn(line, BLANKS);
    if (strncmp(line, name, length) != 0)
        return false;
    line += length;
    line += strspn(line, BLANKS);
    if (*line != '=')
        return false;
    line++;
    line += strspn(line, BLANKS "\"'");
    length = strcspn(line, BLANKS "\"'#/\r\n");
    snprintf(out, size, "%.*s", length < size ? (int)length : 0, line);
    return true;
}

/* Takes the lines of the LENGTH bytes at TEXT, which has a zero byte after them. */
static void read_lines(const char *text, size_t length, const char *name, char *out, size_t size)
{
    const char *end = text + length;
    for (const char *line = text; line != NULL && line < end;) {
        (void)read_line(line, name, out, size);
        line = memchr(line, '\n', (size_t)(end - line));
        if (line != NULL)
            line++;
    }
}

bool config_peek(const char *file, const char *name, char *out, size_t size)
{
    const char *why;
    FILE *in = plain_file_open_stream(file, PLAIN_FILE_ONLY,
                                      &why); /* a pipe can be read only once, and the parser needs it */
    char *text = in != NULL ? malloc(CONFIG_PEEK_MAX + 1) : NULL;
    out[0] = 0;
    if (text != NULL) {
        size_t length = fread(text, 1, CONFIG_PEEK_MAX, in);
        text[length] = 0;
        read_lines(text, length, name, out, size);
    }
    free(text);
    if (in != NULL)
        fclose(in);
    return out[0] != 0;
}
