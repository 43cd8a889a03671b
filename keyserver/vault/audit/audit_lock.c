#include "keyserver/vault/audit/audit_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/plain_file.h"

#define NAP_NS    (20 * NS_PER_MS)
#define NAPS      250 /* five seconds */
#define ID_HEX    (2 * HANDOVER_ID_SIZE)
#define HOST_SIZE 65
#define TEXT_SIZE 160

/* What stands in the file: "ID PID HOST\n". Who has it is decided by the id alone; the rest is for people. */
struct holder {
    char id[ID_HEX + 1]; /* in hex; "": it does not say */
    long pid;
    char host[HOST_SIZE]; /* in a container the number of a process says little without it */
};

/* ---- the file ---- */

/* The kernel takes any bytes for its name; what stands in the file is one word, "(none)" too. */
static void clean_host(char host[static HOST_SIZE])
{
    host[HOST_SIZE - 1] = 0;
    if (host[0] == 0)
        strcpy(host, "-");
    for (char *at = host; *at != 0; at++)
        if (*at <= ' ' || *at > '~')
            *at = '?';
}

static void name_holder(struct holder *out, const struct audit_lock_owner *owner)
{
    memset(out, 0, sizeof *out);
    hex_encode(out->id, owner->id, HANDOVER_ID_SIZE);
    out->pid = owner->pid;
    if (gethostname(out->host, sizeof out->host) != 0)
        out->host[0] = 0;
    clean_host(out->host);
}

/* In place, and shorter only after that: where a disk is full there is still room for it. */
static int write_holder(int fd, const struct holder *holder)
{
    char text[TEXT_SIZE];
    int length = snprintf(text, sizeof text, "%s %ld %s\n", holder->id, holder->pid, holder->host);
    if (pwrite(fd, text, (size_t)length, 0) != length || ftruncate(fd, length) != 0)
        return ERR_SYSTEM;
    return 0;
}

/* Empty where the file says nothing, or something else. */
static void read_holder(int fd, struct holder *out)
{
    char text[TEXT_SIZE];
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    memset(out, 0, sizeof *out);
    text[length > 0 ? length : 0] = 0;
    if (strspn(text, "0123456789abcdef") != ID_HEX)
        return;
    memcpy(out->id, text, ID_HEX);
    if (sscanf(text + ID_HEX, " %ld %64[^\n]", &out->pid, out->host) < 1)
        out->pid = 0;
    clean_host(out->host);
}

_Static_assert(HOST_SIZE == 65, "as in read_holder()");

/* As root: whoever owns the folder may have given the name to a file of somebody else. */
static bool may_give(const struct stat *info, const struct audit_lock_owner *owner)
{
    return info->st_uid == owner->uid || (info->st_uid == 0 && info->st_nlink == 1);
}

/* Whether the file can be the lock; errno says why not. */
static int check_file(int fd, const struct audit_lock_owner *owner, struct stat *info)
{
    if (fstat(fd, info) != 0)
        return ERR_SYSTEM;
    if (S_ISREG(info->st_mode) && (!owner->give || may_give(info, owner)))
        return 0;
    errno = EPERM;
    return ERR_SYSTEM;
}

static int give_away(int fd, const struct audit_lock_owner *owner, const struct stat *info)
{
    if (!owner->give || info->st_uid == owner->uid)
        return 0;
    return fchown(fd, owner->uid, owner->gid) == 0 ? 0 : ERR_SYSTEM;
}

static int open_file(int folder, const struct audit_lock_owner *owner, bool make, struct stat *info)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    int fd = openat(folder, AUDIT_LOCK_FILE, flags | (make ? O_CREAT : 0), 0600);
    if (fd < 0)
        return errno == ENOENT && !make ? ERR_NOT_FOUND : ERR_SYSTEM;
    if (check_file(fd, owner, info) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return ERR_SYSTEM;
}

/* Ready to be locked. */
static int open_own(int folder, const struct audit_lock_owner *owner)
{
    struct stat info;
    int fd = open_file(folder, owner, owner->make, &info);
    if (fd < 0 || give_away(fd, owner, &info) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return ERR_SYSTEM;
}

/* ---- the lock ---- */

static int lock(int fd, int how)
{
    if (flock(fd, how | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK || errno == EINTR ? ERR_BUSY : ERR_SYSTEM;
}

/* With the lock to itself it writes who it is. Then it shares the lock, as everyone does who finds OWN there.
 * On the way from one to the other the kernel may let another in between, so what stands there is read again.
 */
static int try_once(int fd, const struct holder *own, struct holder *holder)
{
    int err = lock(fd, LOCK_EX);
    if (err == 0)
        err = write_holder(fd, own);
    if (err == 0 || err == ERR_BUSY)
        err = lock(fd, LOCK_SH);
    if (err != 0)
        return err;
    read_holder(fd, holder);
    if (strcmp(holder->id, own->id) == 0)
        return 0;
    flock(fd, LOCK_UN);
    return ERR_BUSY;
}

static int refuse(const char *path, const struct holder *holder, struct fault *fault)
{
    char who[HOST_SIZE + 64] = "another program";
    if (holder->pid > 0)
        snprintf(who, sizeof who, "another key server (process %ld on %s)", holder->pid, holder->host);
    return fault_set(
        fault, ERR_BUSY,
        "%s: %s writes its audit log there, and has locked it; each key server has its own: name "
        "another folder in audit { folder }, or end the other one",
        path, who);
}

static int refuse_file(int folder, const char *path, const struct audit_lock_owner *owner,
                       struct fault *fault)
{
    struct stat info;
    char who[64];
    const int why = errno;
    const char *text = strerror(why);
    bool there = fstatat(folder, AUDIT_LOCK_FILE, &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && !S_ISREG(info.st_mode)) {
        text = plain_file_refusal(info.st_mode);
    } else if (there && info.st_uid != (owner->give ? owner->uid : geteuid())) {
        snprintf(who, sizeof who, "owned by uid %u, and the vault, which locks it, is uid %u",
                 (unsigned)info.st_uid, (unsigned)(owner->give ? owner->uid : geteuid()));
        text = who;
    }
    (void)fault_set(fault, ERR_SYSTEM,
                    "%s/" AUDIT_LOCK_FILE ": the audit log cannot be locked: %s; when no key server writes "
                    "there, remove it",
                    path, text);
    errno = why;
    return ERR_SYSTEM;
}

int audit_lock_check(int folder, const char *path, const struct audit_lock_owner *owner, struct fault *fault)
{
    struct stat info;
    int fd = open_file(folder, owner, false, &info);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || fd == ERR_NOT_FOUND ? 0 : refuse_file(folder, path, owner, fault);
}

int audit_lock_take(int *out, int folder, const char *path, const struct audit_lock_owner *owner,
                    struct fault *fault)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    struct holder own, holder = {.pid = 0};
    int fd = open_own(folder, owner), err;
    *out = -1;
    if (fd < 0)
        return fd == ERR_NOT_FOUND ? fd : refuse_file(folder, path, owner, fault);
    name_holder(&own, owner);
    err = try_once(fd, &own, &holder);
    for (unsigned i = 0; i < NAPS && err == ERR_BUSY; i++) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        err = try_once(fd, &own, &holder);
    }
    if (err == 0) {
        *out = fd;
        return 0;
    }
    err = err == ERR_BUSY ? refuse(path, &holder, fault) : refuse_file(folder, path, owner, fault);
    int why = errno;
    close(fd);
    errno = why;
    return err;
}
