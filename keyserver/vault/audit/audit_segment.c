#include "keyserver/vault/audit/audit_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_NAP_NS (100 * 1000)
#define LOCK_NAPS   20000 /* two seconds: many times what any batch takes */

int audit_segment_open(struct audit_segment *segment, int folder, uint64_t seq, bool make)
{
    *segment = (struct audit_segment){.fd = -1};
    audit_file_name(seq, segment->name);
    int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | (make ? O_CREAT | O_EXCL : 0);
    segment->fd = openat(folder, segment->name, flags, 0600);
    if (segment->fd >= 0)
        return 0;
    return errno == ENOENT && !make ? ERR_NOT_FOUND : ERR_SYSTEM;
}

void audit_segment_close(struct audit_segment *segment)
{
    if (segment->fd >= 0)
        close(segment->fd);
    segment->fd = -1;
}

int audit_segment_lock(struct audit_segment *segment, bool waits)
{
    const struct timespec nap = {.tv_nsec = LOCK_NAP_NS};
    for (unsigned i = 0; i < LOCK_NAPS; i++) {
        if (flock(segment->fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ERR_SYSTEM;
        if (!waits)
            break;
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
    errno = EWOULDBLOCK;
    return ERR_BUSY;
}

void audit_segment_unlock(struct audit_segment *segment)
{
    if (segment->fd >= 0)
        flock(segment->fd, LOCK_UN);
}

int audit_segment_look(const struct audit_segment *segment, enum audit_segment_state *state, uint64_t *size)
{
    struct stat info;
    if (fstat(segment->fd, &info) != 0)
        return ERR_SYSTEM;
    *size = (uint64_t)info.st_size;
    if (info.st_nlink == 0)
        *state = SEGMENT_GONE;
    else if (*size < segment->end)
        *state = SEGMENT_CUT;
    else
        *state = *size > segment->end ? SEGMENT_GROWN : SEGMENT_SAME;
    return 0;
}

int audit_segment_look_up(const struct audit_segment *segment, int folder, bool *named)
{
    struct stat open_one, other;
    *named = false;
    if (fstat(segment->fd, &open_one) != 0)
        return ERR_SYSTEM;
    if (fstatat(folder, segment->name, &other, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : ERR_SYSTEM;
    *named = open_one.st_ino == other.st_ino && open_one.st_dev == other.st_dev;
    return 0;
}

/* The bytes of whole lines that FOLLOW has taken; line by line where it is to stop behind the head part. */
static size_t hand_over(struct audit_follow *follow, const char *window, size_t length, bool head_only)
{
    if (!head_only)
        return audit_follow_bytes(follow, window, length);
    size_t taken = 0, step = 1;
    while (step > 0 && !audit_follow_is_ready(follow)) {
        const char *end = memchr(window + taken, '\n', length - taken);
        size_t line = end != NULL ? (size_t)(end - (window + taken)) + 1 : length - taken;
        step = audit_follow_bytes(follow, window + taken, line);
        taken += step;
    }
    return taken;
}

int audit_segment_read(struct audit_segment *segment, struct audit_follow *follow, uint64_t size,
                       bool head_only)
{
    char window[AUDIT_READ_SIZE];
    while (segment->end < size && !(head_only && audit_follow_is_ready(follow))) {
        uint64_t left = size - segment->end;
        size_t wanted = left < sizeof window ? (size_t)left : sizeof window;
        ssize_t got = pread(segment->fd, window, wanted, (off_t)segment->end);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_SYSTEM;
        size_t taken = hand_over(follow, window, (size_t)got, head_only);
        segment->end += taken;
        if (taken == 0)
            break; /* an unfinished line, or a file that shrinks */
    }
    return 0;
}

int audit_segment_cut(struct audit_segment *segment)
{
    return ftruncate(segment->fd, (off_t)segment->end) == 0 ? 0 : ERR_SYSTEM;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, bytes, length); /* the rest of it only to learn why there was one */
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return ERR_SYSTEM;
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

int audit_segment_append(struct audit_segment *segment, const void *bytes, size_t length, bool sync)
{
    segment->ours = true;
    if (write_all(segment->fd, bytes, length) == 0 && (!sync || fdatasync(segment->fd) == 0)) {
        segment->end += length;
        return 0;
    }
    int why = errno;
    (void)!audit_segment_cut(segment);
    errno = why;
    return ERR_SYSTEM;
}
