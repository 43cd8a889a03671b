#include "cli/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/new_file.h"
#include "common/plain_file.h"
#include "common/secret.h"

#define CONTENT_MAX (1 << 20) /* bytes of a key or certificate file */

/* Paths in the order in which they were made. */
static struct made {
    char **item; /* owned */
    size_t count;
} made;

void files_note(const char *path)
{
    char **item = reallocarray(made.item, made.count + 1, sizeof *item);
    if (item == NULL)
        return; /* then a failure leaves it behind */
    made.item = item;
    made.item[made.count] = strdup(path);
    if (made.item[made.count] != NULL)
        made.count++;
}

int files_path(char out[static FILES_PATH_MAX], const char *folder, const char *name, struct fault *fault)
{
    int length = snprintf(out, FILES_PATH_MAX, "%s/%s", folder, name);
    if (length < 0 || length >= FILES_PATH_MAX)
        return fault_set(fault, ERR_LENGTH, "%.300s/%.300s: the path is too long; at most %d bytes will do",
                         folder, name, FILES_PATH_MAX - 1);
    return 0;
}

const char *files_absolute(char out[static PATH_MAX], const char *folder)
{
    char above[PATH_MAX];
    if (realpath(folder, out) != NULL)
        return out;
    const char *name = files_base_name(folder);
    snprintf(above, sizeof above, "%.*s", (int)(name - folder), folder);
    if (realpath(name == folder ? "." : above, out) == NULL)
        return folder;
    size_t length = strlen(out);
    return (size_t)snprintf(out + length, PATH_MAX - length, "/%s", name) < PATH_MAX - length ? out : folder;
}

int files_make_folder(const char *folder, mode_t mode, struct fault *fault)
{
    if (mkdir(folder, mode) == 0) {
        files_note(folder);
        return 0;
    }
    struct stat info;
    if (errno == EEXIST && stat(folder, &info) == 0 && S_ISDIR(info.st_mode))
        return 0;
    return fault_set(fault, ERR_SYSTEM, "%s: the folder cannot be made: %s", folder, strerror(errno));
}

/* As open(2) would make it. */
static mode_t less_umask(mode_t mode)
{
    mode_t mask = umask(077);
    umask(mask);
    return mode & ~mask;
}

int files_make(const char *path, mode_t mode, const void *content, size_t length, struct fault *fault)
{
    int err = new_file_make(path, less_umask(mode), content, length, fault);
    if (err == ERR_REFUSED)
        return fault_set(fault, err,
                         "%s: exists already and is not overwritten; name another folder or move it away",
                         path);
    if (err == 0)
        files_note(path);
    return err;
}

/* ---- reading ---- */

static int read_open(struct files_content *out, int fd, const char *file, struct fault *fault)
{
    ssize_t got = 0;
    while (out->length < CONTENT_MAX &&
           (got = read(fd, out->bytes + out->length, CONTENT_MAX - out->length)) > 0)
        out->length += (size_t)got;
    if (got < 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot be read: %s", file, strerror(errno));
    if (out->length == CONTENT_MAX)
        return fault_set(fault, ERR_LENGTH, "%s: larger than 1 MB; is it a key or certificate?", file);
    return 0;
}

int files_read(struct files_content *out, const char *file, struct fault *fault)
{
    const char *why;
    int fd = plain_file_open(file, PLAIN_FILE_OR_GIVEN, &why);
    if (fd < 0)
        return fault_set(fault, ERR_NOT_FOUND, "%s: cannot be read: %s", file, why);
    *out = (struct files_content){.bytes = secret_new(CONTENT_MAX)};
    int err = out->bytes == NULL ? fault_set(fault, ERR_MEMORY, "%s: no guarded memory for it", file)
                                 : read_open(out, fd, file, fault);
    close(fd);
    if (err != 0)
        files_content_clear(out);
    return err;
}

void files_content_clear(struct files_content *content)
{
    secret_free(content->bytes);
    *content = (struct files_content){.bytes = NULL};
}

/* ---- what was made ---- */

void files_undo(void)
{
    while (made.count > 0) {
        char *path = made.item[--made.count];
        if (remove(path) != 0 && errno != ENOENT && errno != ENOTEMPTY)
            fprintf(stderr, "keyless: %s: cannot be removed again: %s\n", path, strerror(errno));
        free(path);
    }
    free(made.item);
    made = (struct made){.count = 0};
}

const char *files_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}
