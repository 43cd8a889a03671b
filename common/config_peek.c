#include "common/config_peek.h"

#include <stdio.h>
#include <string.h>

#include "common/plain_file.h"

#define BLANKS    " \t"
#define LINE_SIZE 1024

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

bool config_peek(const char *file, const char *name, char *out, size_t size)
{
    char line[LINE_SIZE];
    size_t seen = 0;
    const char *why;
    FILE *in = plain_file_open_stream(file, PLAIN_FILE_ONLY,
                                      &why); /* a pipe can be read only once, and the parser needs it */
    out[0] = 0;
    while (in != NULL && seen < CONFIG_PEEK_MAX && fgets(line, sizeof line, in) != NULL) {
        seen += strlen(line) + 1;
        (void)read_line(line, name, out, size);
    }
    if (in != NULL)
        fclose(in);
    return out[0] != 0;
}
