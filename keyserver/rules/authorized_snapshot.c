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

static bool is_blank(const struct buffer *text)
{
    static const char blanks[] = " \t\r\n\xef\xbb\xbf"; /* with the byte order mark that some editors write */
    const uint8_t *bytes = buffer_bytes(text);
    for (size_t i = 0; i < buffer_length(text); i++)
        if (memchr(blanks, bytes[i], sizeof blanks - 1) == NULL)
            return false;
    return true;
}

int authorized_snapshot_check_kept(int before_fd, int fd, const char *file, struct fault *fault)
{
    struct buffer before, text;
    buffer_init(&before);
    buffer_init(&text);
    int err = sealed_read(before_fd, &before);
    if (err == 0)
        err = sealed_read(fd, &text);
    if (err != 0)
        fault_set(fault, err, "%s: %s", file, err_string(err));
    else if (is_blank(&text) && !is_blank(&before))
        err = fault_set(
            fault, ERR_CONFIG,
            "%s: is empty, and nothing has changed; put its lines back, then reload; to let every edge "
            "go, leave a comment in it, like: # nobody",
            file);
    buffer_clear(&before);
    buffer_clear(&text);
    return err;
}
