#include "common/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/permissions.h"
#include "common/process.h"

#define FILE_SIZE_MAX (1024 * 1024)
#define SEALED_MAX    (16 * FILE_SIZE_MAX)

static const char byte_order_mark[] = "\xef\xbb\xbf"; /* some editors write one */

static void drop_mark(struct config_read *out)
{
    const size_t length = sizeof byte_order_mark - 1;
    if (out->length < length || memcmp(out->text, byte_order_mark, length) != 0)
        return;
    out->length -= length;
    memmove(out->text, out->text + length, out->length);
}

static int read_text(FILE *file, size_t limit, struct config_read *out)
{
    if (fstat(fileno(file), &out->info) != 0)
        return ERR_SYSTEM;
    out->text = malloc(limit + 1);
    if (out->text == NULL)
        return ERR_MEMORY;
    out->length = fread(out->text, 1, limit + 1, file);
    if (ferror(file) || out->length > limit)
        return ferror(file) ? ERR_SYSTEM : ERR_LENGTH;
    drop_mark(out);
    out->text[out->length] = 0;
    return 0;
}

static int explain(int err, int error, struct fault *fault)
{
    struct fault limit = {.text = ""};
    if (err == ERR_LENGTH)
        return fault_set(fault, ERR_CONFIG, "larger than 1 MiB, the most a configuration file may have");
    if (err == ERR_SYSTEM)
        return fault_set(fault, ERR_CONFIG, "cannot be read: %s", strerror(error));
    (void)process_name_limit(&limit, err);
    return fault_set(fault, err, "cannot be read: %s", limit.text);
}

/* FILE is closed. */
static int take_text(FILE *file, size_t limit, struct config_read *out, struct fault *fault)
{
    int err = read_text(file, limit, out);
    const int error = errno;
    fclose(file);
    if (err == 0)
        return 0;
    free(out->text);
    out->text = NULL;
    return explain(err, error, fault);
}

int config_read(const char *path, enum plain_file_kinds kinds, struct config_read *out, struct fault *fault)
{
    const char *why;
    *out = (struct config_read){.text = NULL};
    FILE *file = plain_file_open_stream(path, kinds, &why);
    if (file == NULL)
        return fault_set(fault, ERR_CONFIG, "cannot be read: %s", why);
    int err = permissions_check_writers(fileno(file), path, fault);
    if (err == 0)
        return take_text(file, FILE_SIZE_MAX, out, fault);
    fclose(file);
    return err;
}

int config_read_sealed(int fd, struct config_read *out, struct fault *fault)
{
    *out = (struct config_read){.text = NULL};
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *file = own >= 0 ? fdopen(own, "r") : NULL;
    if (file == NULL) {
        const int error = errno;
        if (own >= 0)
            close(own);
        return fault_set(fault, ERR_CONFIG, "cannot be read: %s", strerror(error));
    }
    rewind(file); /* other processes share it, its offset included */
    return take_text(file, SEALED_MAX, out, fault);
}
