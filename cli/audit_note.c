#include "cli/audit_note.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "common/plain_file.h"

#define LOOKS   60 /* for a note that is not there yet */
#define LOOK_US 50000

/* The file is written in place, so a read beside a running vault is tried again for a moment. */
static int read_head(struct audit_head *head, const char *path, struct fault *fault)
{
    char text[AUDIT_HEAD_SIZE + 1];
    for (unsigned i = 0; i < 3; i++) {
        const char *why;
        int fd = plain_file_open(path, PLAIN_FILE_ONLY, &why);
        if (fd == ERR_NOT_FOUND)
            return fd;
        if (fd < 0)
            return fault_set(fault, fd, "%s: cannot be read: %s", path, why);
        ssize_t length = read(fd, text, sizeof text);
        int error = errno;
        close(fd);
        if (length < 0)
            return fault_set(fault, ERR_SYSTEM, "%s: cannot be read: %s", path, strerror(error));
        if (audit_head_parse(head, text, (size_t)length) == 0)
            return 0;
        usleep(20000);
    }
    return fault_set(fault, ERR_FORMAT, "%s: is not what a key server writes there; it was altered", path);
}

int audit_note_load(struct audit_head *out, const char *folder, bool awaited, struct fault *fault)
{
    char path[FILES_PATH_MAX];
    int err = files_path(path, folder, AUDIT_HEAD_FILE, fault);
    if (err == 0)
        err = read_head(out, path, fault);
    for (unsigned i = 0; i < LOOKS && err == ERR_NOT_FOUND && awaited; i++) {
        usleep(LOOK_US);
        err = read_head(out, path, fault);
    }
    return err;
}
