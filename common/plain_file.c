#include "common/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *plain_file_refusal(mode_t mode)
{
    if (S_ISLNK(mode))
        return "it is a symbolic link, not a regular file";
    if (S_ISDIR(mode))
        return "it is a folder, not a regular file";
    if (S_ISFIFO(mode))
        return "it is a FIFO, not a regular file";
    if (S_ISSOCK(mode))
        return "it is a socket, not a regular file";
    return "it is a device, not a regular file";
}

static bool is_standard_input(const struct stat *info)
{
    struct stat input;
    return fstat(STDIN_FILENO, &input) == 0 && input.st_dev == info->st_dev && input.st_ino == info->st_ino;
}

/* True when this process was given FD open (standard input, or a pipe without a name): then reading may
 * wait. */
static bool is_given(int fd, const struct stat *info)
{
    struct statfs system;
    bool nameless = S_ISFIFO(info->st_mode) && fstatfs(fd, &system) == 0 && system.f_type == PIPEFS_MAGIC;
    return (nameless || is_standard_input(info)) && !S_ISDIR(info->st_mode) &&
           fcntl(fd, F_SETFL, O_RDONLY) == 0; /* without O_NONBLOCK */
}

/* open(2) of a socket fails with ENXIO, so what it is comes from stat(2). */
static int fail_open(const char *path, const char **why)
{
    const int error = errno;
    struct stat info;
    *why = strerror(error);
    if (error == ENXIO && stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        *why = plain_file_refusal(info.st_mode);
        return ERR_CONFIG;
    }
    errno = error;
    return error == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
}

int plain_file_open(const char *path, enum plain_file_kinds kinds, const char **why)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_open(path, why);
    int err = fstat(fd, &info) != 0 ? fail_open(path, why) : 0;
    if (err == 0 && (S_ISREG(info.st_mode) || (kinds == PLAIN_FILE_OR_GIVEN && is_given(fd, &info))))
        return fd;
    if (err == 0) {
        *why = plain_file_refusal(info.st_mode);
        err = ERR_CONFIG;
    }
    const int error = errno;
    close(fd);
    errno = error;
    return err;
}

FILE *plain_file_open_stream(const char *path, enum plain_file_kinds kinds, const char **why)
{
    int fd = plain_file_open(path, kinds, why);
    FILE *stream = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (stream == NULL && fd >= 0) {
        *why = strerror(errno);
        close(fd);
    }
    return stream;
}
