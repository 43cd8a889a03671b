#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/contents.h"
#include "common/log.h"
#include "keyserver/key_mend.h"
#include "keyserver/vault/key_file.h"
#include "keyserver/vault/keystore_inside.h"

/* At most KEY_FILE_MAX bytes of PATH into the empty OUT; what cannot be read is left out. */
static void read_start(const char *path, struct buffer *out)
{
    struct stat info;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return;
    uint8_t *room = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? buffer_reserve(out, KEY_FILE_MAX) : NULL;
    if (room != NULL && (got = read(fd, room, KEY_FILE_MAX)) > 0)
        buffer_commit(out, (size_t)got);
    close(fd);
}

static void look_at(const char *path)
{
    struct buffer content = {0};
    struct fault why = {.text = ""};
    read_start(path, &content);
    size_t length = buffer_length(&content);
    const uint8_t *bytes = length > 0 ? buffer_bytes(&content) : NULL;
    unsigned contents = contents_tell(bytes, length);
    if ((contents & CONTENTS_KEYS) != 0) {
        key_mend_ignored(path, contents, contents_count_keys(bytes, length) > 0, &why);
        log_finding(LOG_WARN, "key_file_ignored", "error=\"%s\"", why.text);
    }
    buffer_clear(&content);
}

void keystore_tell_ignored(const struct key_folder *list, const char *folder)
{
    char path[4096];
    for (size_t i = 0; i < list->others; i++)
        if (snprintf(path, sizeof path, "%s/%s", folder, list->other[i]) < (int)sizeof path)
            look_at(path);
}
