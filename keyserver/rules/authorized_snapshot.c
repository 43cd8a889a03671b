#include "keyserver/rules/authorized_snapshot.h"

#include <errno.h>
#include <string.h>

#include "common/process.h"
#include "keyserver/rules/sealed.h"

int authorized_snapshot_take(const char *file, struct fault *fault)
{
    struct buffer text;
    buffer_init(&text);
    int err = authorized_read(file, &text, fault);
    if (err != 0)
        return err;
    int fd = sealed_make("authorized_edges", buffer_bytes(&text), buffer_length(&text));
    if (fd < 0)
        fd = fault_set(fault, fd, "%s: cannot be kept in memory: %s%s", file, strerror(errno),
                       process_limit_hint(errno));
    buffer_clear(&text);
    return fd;
}

int authorized_snapshot_load(struct authorized **out, int fd, const char *file, struct fault *fault)
{
    struct buffer text;
    *out = NULL;
    buffer_init(&text);
    int err = sealed_read(fd, &text);
    if (err != 0)
        fault_set(fault, err, "%s: %s", file, err_string(err));
    else
        err = authorized_parse(out, (const char *)buffer_bytes(&text), buffer_length(&text), file, fault);
    buffer_clear(&text);
    return err;
}
