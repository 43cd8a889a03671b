#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/contents.h"
#include "common/log.h"
#include "common/path.h"
#include "common/plain_file.h"
#include "keyserver/rules/key_hint.h"
#include "keyserver/vault/keys/key_file.h"
#include "keyserver/vault/keys/keystore_inside.h"

/* At most KEY_FILE_MAX bytes of PATH into the empty OUT; 0 or why it cannot be read, an errno. */
static int read_start(const char *path, struct buffer *out)
{
    ssize_t got = 0;
    const char *why;
    int fd = plain_file_open(path, PLAIN_FILE_ONLY, &why);
    if (fd < 0)
        return fd == ERR_CONFIG ? 0 : errno;
    uint8_t *room = buffer_reserve(out, KEY_FILE_MAX);
    if (room != NULL && (got = read(fd, room, KEY_FILE_MAX)) > 0)
        buffer_commit(out, (size_t)got);
    close(fd);
    return 0;
}

/* What the extension of PATH stands for, among the forms of private keys that are not read. */
static unsigned tell_by_name(const char *path)
{
    static const struct {
        const char *extension;
        unsigned contents;
    } stores[] = {{".p12", CONTENTS_PKCS12}, {".pfx", CONTENTS_PKCS12}, {".jks", CONTENTS_JAVA}};
    const char *dot = path_extension(path);
    for (size_t i = 0; dot != NULL && i < sizeof stores / sizeof stores[0]; i++)
        if (strcasecmp(dot, stores[i].extension) == 0)
            return stores[i].contents;
    return 0;
}

/* What is to be said of PATH, at which level; false for what nobody takes for a key. */
static bool judge(const char *path, const struct buffer *content, int unread, enum log_level *level,
                  struct fault *why)
{
    size_t length = buffer_length(content);
    const uint8_t *bytes = length > 0 ? buffer_bytes(content) : NULL;
    unsigned contents = contents_tell(bytes, length), named = tell_by_name(path);
    *level = LOG_WARN;
    if (unread == ENOENT || unread == ENOTDIR)
        return false; /* it has gone since the folder was listed */
    if (unread != 0 && named != 0) {
        fault_set(why, ERR_CONFIG,
                  "%s: its name is that of a key store, and it cannot be read: %s; take it away", path,
                  strerror(unread));
    } else if ((contents & CONTENTS_KEYS) != 0) {
        key_hint_ignored(path, contents, contents_count_keys(bytes, length) > 0, why);
    } else if (named != 0) {
        key_hint_form(path, named, why);
    } else if ((contents & (CONTENTS_CERTIFICATE | CONTENTS_TRUSTED)) != 0) {
        *level = LOG_INFO;
        fault_set(why, ERR_CONFIG, "%s: holds a certificate, which is for the edge, and is not read", path);
    } else {
        return false;
    }
    return true;
}

static void look_at(const char *path)
{
    struct buffer content = {0};
    struct stat info;
    struct fault why = {.text = ""};
    enum log_level level = LOG_WARN;
    bool said = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    if (said)
        fault_set(
            &why, ERR_CONFIG,
            "%s: this folder lies more than %d folders below that of keys and is not looked into; move it "
            "up, or take it away",
            path, KEY_FOLDER_DEPTH);
    else
        said = judge(path, &content, read_start(path, &content), &level, &why);
    if (said)
        log_finding(level, "key_file_ignored", "error=\"%s\"", why.text);
    buffer_clear(&content);
}

void keystore_tell_ignored(const struct key_folder *list, const char *folder)
{
    char path[4096];
    for (size_t i = 0; i < list->others; i++)
        if (snprintf(path, sizeof path, "%s/%s", folder, list->other[i]) < (int)sizeof path)
            look_at(path);
    if (list->others_left_out > 0)
        log_finding(LOG_WARN, "key_file_ignored",
                    "error=\"%s: %zu files whose names end in none of .pem, .key, .der are not looked at, "
                    "beside %d that are; take away what is no key\"",
                    folder, list->others_left_out, KEY_FOLDER_OTHERS);
}
