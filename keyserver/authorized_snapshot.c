#include "keyserver/authorized_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE 65536
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static bool write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, bytes, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        length -= (size_t)done;
    }
    return true;
}

int authorized_snapshot_take(const char *file, struct fault *fault)
{
    struct buffer text;
    buffer_init(&text);
    int err = authorized_read(file, &text, fault);
    if (err != 0)
        return err;
    int fd = memfd_create("authorized_edges", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || !write_all(fd, buffer_bytes(&text), buffer_length(&text)) ||
        fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
        err = fault_set(fault, ERR_SYSTEM, "%s: cannot be kept in memory: %s", file, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = err;
    }
    buffer_clear(&text);
    return fd;
}

/* By position: the descriptor is shared with other processes. */
static int read_all(int fd, struct buffer *out)
{
    for (off_t at = 0;;) {
        uint8_t *room = buffer_reserve(out, PIECE);
        if (room == NULL)
            return ERR_MEMORY;
        ssize_t got = pread(fd, room, PIECE, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? 0 : ERR_SYSTEM;
        buffer_commit(out, (size_t)got);
        at += got;
    }
}

int authorized_snapshot_load(struct authorized **out, int fd, const char *file, struct fault *fault)
{
    struct buffer text;
    *out = NULL;
    buffer_init(&text);
    int err = read_all(fd, &text);
    if (err != 0)
        fault_set(fault, err, "%s: %s", file, err_string(err));
    else
        err = authorized_parse(out, (const char *)buffer_bytes(&text), buffer_length(&text), file, fault);
    buffer_clear(&text);
    return err;
}
