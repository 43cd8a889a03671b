#include "common/local_claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/plain_file.h"
#include "common/shell.h"

#define PATIENCE_MS 5000
#define AGAIN_MS    5

/* True when the file that FD has locked is still the one at PATH: its holder removes it before unlocking
 * it. */
static bool is_there(int fd, const char *path)
{
    struct stat locked, there;

    return fstat(fd, &locked) == 0 && lstat(path, &there) == 0 && locked.st_ino == there.st_ino &&
           locked.st_dev == there.st_dev;
}

/* Returns a locked descriptor, or -1 with errno: EWOULDBLOCK when another process holds the lock. */
static int lock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -1;
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (locked && is_there(fd, path))
        return fd;
    int why = locked || errno == EINTR ? EWOULDBLOCK : errno;
    close(fd);
    errno = why;
    return -1;
}

static int wait_for_lock(struct local_claim *claim)
{
    const struct timespec again = {.tv_nsec = AGAIN_MS * NS_PER_MS};
    uint64_t end_ns = clock_ns() + PATIENCE_MS * (uint64_t)NS_PER_MS;

    while ((claim->fd = lock(claim->path)) < 0 && errno == EWOULDBLOCK && clock_ns() < end_ns) {
        nanosleep(&again, NULL);
        errno = EWOULDBLOCK;
    }
    return claim->fd >= 0 ? 0 : ERR_SYSTEM;
}

/* Removes the socket that a listener left when it ended. */
static int remove_stale(const struct sockaddr_un *address, struct fault *fault)
{
    const char *path = address->sun_path;
    struct stat info;

    if (lstat(path, &info) != 0)
        return 0; /* nothing is there, or bind() reports what is wrong */
    if (!S_ISSOCK(info.st_mode))
        return fault_set(fault, ERR_CONFIG, "unix:%s: something else than a socket is there; move it away",
                         path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_set(fault, ERR_SYSTEM, "unix:%s: %s", path, strerror(errno));
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    close(fd);
    if (!refused)
        return fault_set(fault, ERR_SYSTEM, "unix:%s: in use; see by whom with: ss -lxp src %s", path,
                         SHELL_WORD(path));
    if (unlink(path) != 0)
        return fault_set(fault, ERR_SYSTEM, "unix:%s: the stale socket cannot be removed: %s", path,
                         strerror(errno));
    return 0;
}

static void name_file(struct local_claim *claim, const char *path)
{
    snprintf(claim->path, sizeof claim->path, "%s%s", path, LOCAL_CLAIM_SUFFIX);
}

int local_claim_check(const char *path, struct fault *fault)
{
    struct local_claim claim;
    struct stat info;

    name_file(&claim, path);
    if (lstat(claim.path, &info) != 0 || S_ISREG(info.st_mode))
        return 0;
    return fault_set(fault, ERR_CONFIG, "unix:%s: cannot listen there: %s: %s; move it away", path,
                     claim.path, plain_file_refusal(info.st_mode));
}

int local_claim_take(struct local_claim *claim, const struct sockaddr_un *address, struct fault *fault)
{
    int err = local_claim_check(address->sun_path, fault);

    if (err != 0)
        return err;
    name_file(claim, address->sun_path);
    if (wait_for_lock(claim) != 0 && errno == EWOULDBLOCK)
        return fault_set(fault, ERR_SYSTEM,
                         "unix:%s: another program that is about to listen there has locked %s for %d s; see "
                         "which with: fuser %s",
                         address->sun_path, claim->path, PATIENCE_MS / 1000, SHELL_WORD(claim->path));
    if (claim->fd < 0)
        return fault_set(fault, ERR_SYSTEM, "unix:%s: cannot listen there: %s: %s", address->sun_path,
                         claim->path, strerror(errno));
    err = remove_stale(address, fault);
    if (err != 0)
        local_claim_release(claim);
    return err;
}

void local_claim_release(struct local_claim *claim)
{
    (void)unlink(claim->path); /* before others may lock it */
    close(claim->fd);
    claim->fd = -1;
}
