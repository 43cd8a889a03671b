#include "common/config_peek.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static FILE *open_regular(const char *file)
{
    struct stat info;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    FILE *in = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? fdopen(fd, "r") : NULL;
    if (in == NULL && fd >= 0)
        close(fd);
    return in;
}

bool config_peek(const char *file, const char *name, char *out, size_t size)
{
    char line[LINE_SIZE];
    size_t seen = 0;
    FILE *in = open_regular(file);
    out[0] = 0;
    while (in != NULL && seen < CONFIG_PEEK_MAX && fgets(line, sizeof line, in) != NULL) {
        seen += strlen(line) + 1;
        (void)read_line(line, name, out, size);
    }
    if (in != NULL)
        fclose(in);
    return out[0] != 0;
}
