#include "keyserver/rules/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/new_file.h"

#define PIECE 65536
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

int sealed_make(const char *name, const void *bytes, size_t length)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return ERR_SYSTEM;
    if (new_file_write(fd, bytes, length) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return ERR_SYSTEM;
}

/* By position: the descriptor is shared with other processes. */
int sealed_read(int fd, struct buffer *out)
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
