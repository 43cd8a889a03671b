#include "common/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The name of a file beside PATH that nobody looks at. */
static int passing_name(char out[static PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    if (snprintf(out, PATH_MAX, "%.*s.keyless-new-XXXXXX", folder, path) < PATH_MAX)
        return 0;
    errno = ENAMETOOLONG;
    return ERR_SYSTEM;
}

/* Where the file system knows neither: the name is taken by an empty file, which WHOLE then replaces. */
static int take_name(const char *whole, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return ERR_SYSTEM;
    close(fd);
    if (rename(whole, path) == 0)
        return 0;
    int why = errno;
    unlink(path);
    errno = why;
    return ERR_SYSTEM;
}

/* Gives the file WHOLE the name PATH, unless that is taken: then ERR_SYSTEM with EEXIST. */
static int give_name(const char *whole, const char *path)
{
    if (renameat2(AT_FDCWD, whole, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST)
        return ERR_SYSTEM;
    if (link(whole, path) == 0)
        return unlink(whole) == 0 ? 0 : ERR_SYSTEM;
    return errno == EEXIST ? ERR_SYSTEM : take_name(whole, path);
}

/* The name, too, is to survive a power cut. Not every file system can do that with a folder. */
static void sync_folder_of(const char *whole)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(whole, '/');
    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - whole) + 1 : 1,
             slash != NULL ? whole : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!fsync(fd);
    close(fd);
}

static int fail_making(const char *path, struct fault *fault)
{
    if (errno == EEXIST)
        return fault_set(fault, ERR_REFUSED, "%s: exists already and is not overwritten; move it away first",
                         path);
    return fault_set(fault, ERR_SYSTEM, "%s: cannot be made: %s", path, strerror(errno));
}

int new_file_make(const char *path, mode_t mode, const void *bytes, size_t length, struct fault *fault)
{
    char whole[PATH_MAX];
    struct stat there;
    if (lstat(path, &there) == 0) {
        errno = EEXIST;
        return fail_making(path, fault);
    }
    int fd = passing_name(whole, path) == 0 ? mkostemp(whole, O_CLOEXEC) : -1;
    if (fd < 0)
        return fail_making(path, fault);
    int err = fill(fd, mode, bytes, length);
    if (err != 0)
        fault_set(fault, err, "%s: cannot be written: %s", path, strerror(errno));
    else if (give_name(whole, path) != 0)
        err = fail_making(path, fault);
    if (err != 0)
        unlink(whole);
    else
        sync_folder_of(path);
    return err;
}
