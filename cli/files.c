#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"

#define COPY_MAX (1 << 20) /* bytes of a key or certificate file */

int files_path(char out[static FILES_PATH_MAX], const char *folder, const char *name, struct fault *fault)
{
    int length = snprintf(out, FILES_PATH_MAX, "%s/%s", folder, name);
    if (length < 0 || length >= FILES_PATH_MAX)
        return fault_set(fault, ERR_LENGTH, "%.300s/%.300s: the path is too long; at most %d bytes will do",
                         folder, name, FILES_PATH_MAX - 1);
    return 0;
}

int files_make_folder(const char *folder, mode_t mode, struct fault *fault)
{
    if (mkdir(folder, mode) == 0)
        return 0;
    struct stat info;
    if (errno == EEXIST && stat(folder, &info) == 0 && S_ISDIR(info.st_mode))
        return 0;
    return fault_set(fault, ERR_SYSTEM, "%s: the folder cannot be made: %s", folder, strerror(errno));
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, bytes, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return ERR_SYSTEM;
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

int files_make(const char *path, mode_t mode, const void *content, size_t length, struct fault *fault)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST)
        return fault_set(fault, ERR_REFUSED,
                         "%s: exists already and is not overwritten; name another folder or move it away",
                         path);
    if (fd < 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot be made: %s", path, strerror(errno));
    int err = write_all(fd, content, length);
    if (close(fd) != 0)
        err = ERR_SYSTEM;
    if (err != 0) {
        fault_set(fault, err, "%s: cannot be written: %s", path, strerror(errno));
        unlink(path);
    }
    return err;
}

int files_copy(const char *from, const char *to, mode_t mode, struct fault *fault)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, ERR_NOT_FOUND, "%s: cannot be read: %s", from, strerror(errno));
    char *content = secret_new(COPY_MAX);
    size_t length = 0;
    ssize_t got = 0;
    while (content != NULL && length < COPY_MAX && (got = read(fd, content + length, COPY_MAX - length)) > 0)
        length += (size_t)got;
    close(fd);
    int err;
    if (content == NULL || got < 0)
        err = fault_set(fault, ERR_SYSTEM, "%s: cannot be read: %s", from, strerror(errno));
    else if (length == COPY_MAX)
        err = fault_set(fault, ERR_LENGTH, "%s: larger than 1 MB; is it a key or certificate?", from);
    else
        err = files_make(to, mode, content, length, fault);
    secret_free(content);
    return err;
}

const char *files_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}
