#include "cli/audit_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/files.h"
#include "keyserver/audit/audit_chain.h"

#define WINDOW 262144 /* bytes; many times the longest record */
_Static_assert(WINDOW > 2 * AUDIT_LINE_MAX, "a line fits");

/* ---- which there are ---- */

int audit_files_add(struct audit_files *files, const char *path)
{
    if (files->count == files->size) {
        size_t size = files->size == 0 ? 64 : 2 * files->size;
        char **grown = reallocarray(files->path, size, sizeof *grown);
        if (grown == NULL)
            return ERR_MEMORY;
        files->path = grown;
        files->size = size;
    }
    files->path[files->count] = strdup(path);
    if (files->path[files->count] == NULL)
        return ERR_MEMORY;
    files->count++;
    return 0;
}

void audit_files_clear(struct audit_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->path[i]);
    free(files->path);
    *files = (struct audit_files){.path = NULL};
}

static int compare(const void *a, const void *b)
{
    uint64_t x = audit_file_seq(files_base_name(*(char *const *)a)),
             y = audit_file_seq(files_base_name(*(char *const *)b));
    return (x > y) - (x < y);
}

int audit_files_list(struct audit_files *files, const char *folder, struct fault *fault)
{
    char path[FILES_PATH_MAX];
    int err = 0;
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return fault_set(fault, ERR_CONFIG, "%s: cannot be read: %s", folder, strerror(errno));
    for (struct dirent *entry; err == 0 && (entry = readdir(stream)) != NULL;) {
        if (audit_file_seq(entry->d_name) == 0)
            continue;
        err = files_path(path, folder, entry->d_name, fault);
        if (err == 0 && audit_files_add(files, path) != 0)
            err = fault_set(fault, ERR_MEMORY, "%s: out of memory", folder);
    }
    closedir(stream);
    if (files->count > 0)
        qsort(files->path, files->count, sizeof *files->path, compare);
    return err;
}

char *audit_files_after(const char *path)
{
    struct audit_files files = {.path = NULL};
    const char *base = files_base_name(path);
    size_t before = (size_t)(base - path);
    char *folder = before == 0 ? strdup(".") : strndup(path, before > 1 ? before - 1 : 1), *found = NULL;
    if (folder != NULL && audit_files_list(&files, folder, NULL) == 0)
        for (size_t i = 0; i < files.count && found == NULL; i++)
            if (audit_file_seq(files_base_name(files.path[i])) > audit_file_seq(base))
                found = strdup(files.path[i]);
    audit_files_clear(&files);
    free(folder);
    return found;
}

/* ---- lines ---- */

int audit_lines_open(struct audit_lines *lines, const char *path, enum plain_file_kinds kinds,
                     struct fault *fault)
{
    struct stat info;
    const char *why;
    *lines = (struct audit_lines){.fd = plain_file_open(path, kinds, &why)};
    if (lines->fd == ERR_CONFIG && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return fault_set(fault, ERR_CONFIG, "%s: is a folder; name one folder of a log, or only files of it",
                         path);
    if (lines->fd < 0)
        return fault_set(fault, lines->fd == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_CONFIG,
                         "%s: cannot be read: %s", path, why);
    lines->bytes = malloc(WINDOW);
    if (lines->bytes != NULL)
        return 0;
    audit_lines_close(lines);
    return fault_set(fault, ERR_MEMORY, "%s: out of memory", path);
}

void audit_lines_close(struct audit_lines *lines)
{
    if (lines->fd >= 0)
        close(lines->fd);
    free(lines->bytes);
    *lines = (struct audit_lines){.fd = -1, .why = lines->why};
}

int audit_lines_fail(const struct audit_lines *lines, const char *path, struct fault *fault)
{
    return fault_set(fault, ERR_SYSTEM, "%s: cannot be read: %s", path, strerror(lines->why));
}

/* Reads more bytes behind those that are there; 0 at the end of the file. */
static ssize_t read_more(struct audit_lines *lines)
{
    memmove(lines->bytes, lines->bytes + lines->start, lines->end - lines->start);
    lines->end -= lines->start;
    lines->start = 0;
    for (;;) {
        ssize_t got = read(lines->fd, lines->bytes + lines->end, WINDOW - lines->end);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0)
            lines->end += (size_t)got;
        return got;
    }
}

/* Takes a line, or the beginning of one that is too long; false when there is none in the window. */
static bool take_line(struct audit_lines *lines, const char **line, size_t *length)
{
    const char *begin = lines->bytes + lines->start;
    size_t left = lines->end - lines->start;
    const char *end = memchr(begin, '\n', left);
    if (end == NULL && left < WINDOW)
        return false;
    size_t whole = end != NULL ? (size_t)(end - begin) : left, used = whole + (end != NULL);
    bool rest = lines->skipping;
    lines->skipping = end == NULL;
    lines->start += used;
    lines->taken += used;
    *line = begin;
    *length = whole;
    return !rest || take_line(lines, line, length);
}

int audit_lines_next(struct audit_lines *lines, const char **line, size_t *length)
{
    while (!take_line(lines, line, length)) {
        ssize_t got = read_more(lines);
        if (got < 0)
            lines->why = errno;
        if (got <= 0)
            return got < 0 ? ERR_SYSTEM : 0;
    }
    return 1;
}

size_t audit_lines_rest(const struct audit_lines *lines, const char **rest)
{
    *rest = lines->bytes + lines->start;
    return lines->skipping ? 0 : lines->end - lines->start;
}
