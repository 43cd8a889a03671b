#include "common/identity.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/creatable.h"
#include "common/dangling_link.h"
#include "common/new_file.h"
#include "common/permissions.h"
#include "common/plain_file.h"
#include "common/secret.h"
#include "common/shell.h"

void identity_derive(struct identity *identity)
{
    crypto_scalarmult_base(identity->public, identity->secret);
}

void identity_generate(struct identity *out)
{
    random_bytes(out->secret, sizeof out->secret);
    identity_derive(out);
}

static int explain_missing(const char *path, struct fault *fault)
{
    if (dangling_link_explain(path, fault) || creatable_check_parent(path, fault) != 0)
        return ERR_CONFIG;
    return fault_set(
        fault, ERR_NOT_FOUND,
        "%s: no such file; where there was one put its copy of a backup there, otherwise make it "
        "with: keyless genkey > %s",
        path, SHELL_WORD(path));
}

int identity_open_secret(const char *path, struct fault *fault)
{
    const char *why;
    int fd = plain_file_open(path, PLAIN_FILE_ONLY, &why);
    if (fd == ERR_NOT_FOUND)
        return explain_missing(path, fault);
    if (fd < 0)
        return fault_set(fault, ERR_CONFIG, "%s: cannot be read: %s", path, why);
    int err = permissions_check_file(fd, path, fault);
    if (err == 0)
        err = permissions_check_place(path, fault);
    if (err != 0) {
        close(fd);
        return err;
    }
    return fd;
}

static int read_all(int fd, const char *path, size_t limit, struct buffer *out, struct fault *fault)
{
    for (;;) {
        uint8_t *room = buffer_reserve(out, 4096);
        if (room == NULL)
            return fault_set(fault, ERR_MEMORY, "%s: out of memory", path);
        ssize_t got = read(fd, room, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault_set(fault, ERR_SYSTEM, "%s: %s", path, strerror(errno));
        if (got == 0)
            return 0;
        buffer_commit(out, (size_t)got);
        if (buffer_length(out) > limit)
            return fault_set(fault, ERR_CONFIG, "%s: larger than %zu bytes; is it the right file?", path,
                             limit);
    }
}

int identity_read_secret_file(const char *path, size_t limit, struct buffer *out, struct fault *fault)
{
    int fd = identity_open_secret(path, fault);
    if (fd < 0)
        return fd;
    int err = read_all(fd, path, limit, out, fault);
    close(fd);
    if (err != 0)
        buffer_clear(out);
    return err;
}

/* Decodes the secret in CONTENT, which must be one line; ERR_CONFIG when it is not, and *WHY says why. */
static int decode(uint8_t out[static IDENTITY_KEY_SIZE], const struct buffer *content, const char **why)
{
    static const uint8_t zero[IDENTITY_KEY_SIZE];
    char line[IDENTITY_TEXT_SIZE] = {0};
    size_t length = buffer_length(content);
    const char *text = (const char *)buffer_bytes(content);
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark, as some editors write */
        text += 3;
        length -= 3;
    }
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    if (length == sizeof line - 1)
        memcpy(line, text, length);
    *why = NULL;
    if (length == 0)
        *why = "is empty";
    else if (base64_decode(out, IDENTITY_KEY_SIZE, line) != 0)
        *why = "not one line with the base64 of 32 bytes";
    else if (same_bytes(out, zero, sizeof zero))
        *why = "a secret of zeros only, which anybody can guess";
    wipe(line, sizeof line);
    return *why == NULL ? 0 : ERR_CONFIG;
}

int identity_load_shared(uint8_t out[static IDENTITY_KEY_SIZE], const char *path, const char *holder,
                         struct fault *fault)
{
    struct buffer content = {0};
    const char *why;
    int err = identity_read_secret_file(path, 1024, &content, fault);
    if (err != 0)
        return err;
    if (decode(out, &content, &why) != 0)
        err = fault_set(
            fault, ERR_CONFIG,
            "%s: %s; put the copy of %s%sa backup there; where there is none left, make a new one "
            "with: keyless genkey",
            path, why, holder != NULL ? holder : "", holder != NULL ? " or of " : "");
    buffer_clear(&content);
    return err;
}

int identity_load_secret(uint8_t out[static IDENTITY_KEY_SIZE], const char *path, struct fault *fault)
{
    return identity_load_shared(out, path, NULL, fault);
}

int identity_load(struct identity **out, const char *path, struct fault *fault)
{
    struct identity *identity = secret_new(sizeof *identity);
    if (identity == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: no guarded memory for it", path);
    int err = identity_load_secret(identity->secret, path, fault);
    if (err != 0) {
        secret_free(identity);
        return err;
    }
    identity_derive(identity);
    *out = identity;
    return 0;
}

int identity_save_secret(const char *path, const uint8_t secret[static IDENTITY_KEY_SIZE],
                         struct fault *fault)
{
    char line[IDENTITY_TEXT_SIZE + 1];
    base64_encode(line, secret, IDENTITY_KEY_SIZE);
    line[IDENTITY_TEXT_SIZE - 1] = '\n';
    int err = new_file_make(path, 0400, line, IDENTITY_TEXT_SIZE, fault);
    wipe(line, sizeof line);
    return err;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat one, other;
    if (a == NULL || b == NULL)
        return false;
    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
                                 one.st_ino == other.st_ino);
}

int identity_check_apart(const char *file, const struct identity_file *files, size_t count,
                         struct fault *fault)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (is_same_file(files[i].path, files[j].path))
                return fault_set(fault, ERR_CONFIG,
                                 "%s: %s and %s are one file, %s; each secret has a file of its own", file,
                                 files[i].option, files[j].option, files[i].path);
    return 0;
}
