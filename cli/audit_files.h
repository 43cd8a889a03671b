/* The files of an audit log, for reading: which there are in a folder, and their lines. One thread. */
#ifndef CLI_AUDIT_FILES_H
#define CLI_AUDIT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/plain_file.h"

/* Paths, in the order of the log. Zero-initialised is empty. */
struct audit_files {
    char **path; /* owned */
    size_t count, size;
};

/* Adds the files of the log in FOLDER, in order. ERR_CONFIG when it cannot be read. */
int audit_files_list(struct audit_files *files, const char *folder, struct fault *fault) MUST_USE;
/* Adds PATH at the end; ERR_MEMORY. */
int audit_files_add(struct audit_files *files, const char *path) MUST_USE;
void audit_files_clear(struct audit_files *files);
/* The path of the first file in the folder of PATH that comes after PATH, owned by the caller; NULL when
 * there is none. */
char *audit_files_after(const char *path);

/* A file that is read line by line, and may grow meanwhile. */
struct audit_lines {
    int fd;      /* owned; -1 = none */
    char *bytes; /* owned */
    size_t start, end;
    bool skipping;  /* behind the beginning of a line that is longer than any record, which was handed out */
    uint64_t taken; /* bytes of lines that were handed out */
    int why;        /* errno of audit_lines_next(), also after it is closed */
};

/* A file that is of none of KINDS is ERR_CONFIG: a device would never end. */
int audit_lines_open(struct audit_lines *lines, const char *path, enum plain_file_kinds kinds,
                     struct fault *fault) MUST_USE;
void audit_lines_close(struct audit_lines *lines);
/* 1: LINE, borrowed until the next call, is the next whole line, without its end. 0: there is none (yet). Of
 * a line that is longer than any record, the beginning. ERR_SYSTEM. */
int audit_lines_next(struct audit_lines *lines, const char **line, size_t *length) MUST_USE;
/* What to say when that failed for PATH; returns ERR_SYSTEM. */
int audit_lines_fail(const struct audit_lines *lines, const char *path, struct fault *fault) MUST_USE;
/* What stands behind the last line end; its length. */
size_t audit_lines_rest(const struct audit_lines *lines, const char **rest);

#endif
