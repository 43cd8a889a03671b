#include "common/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int new_file_write(int fd, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    while (length > 0) {
        ssize_t done = write(fd, bytes, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return ERR_SYSTEM;
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

static int fill(int fd, mode_t mode, const void *bytes, size_t length)
{
    int err = new_file_write(fd, bytes, length);
    if (err == 0 && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
        err = ERR_SYSTEM;
    if (err == 0)
        return close(fd) == 0 ? 0 : ERR_SYSTEM;
    int why = errno;
    close(fd);
    errno = why;
    return err;
}

int new_file_make(const char *path, mode_t mode, const void *bytes, size_t length, struct fault *fault)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST)
        return fault_set(fault, ERR_REFUSED, "%s: exists already and is not overwritten; move it away first",
                         path);
    if (fd < 0)
        return fault_set(fault, ERR_SYSTEM, "%s: cannot be made: %s", path, strerror(errno));
    int err = fill(fd, mode, bytes, length);
    if (err != 0) {
        fault_set(fault, err, "%s: cannot be written: %s", path, strerror(errno));
        unlink(path);
    }
    return err;
}
