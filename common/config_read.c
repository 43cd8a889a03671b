#include "common/config_read.h"

#include <errno.h>
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

static int read_text(FILE *file, struct config_read *out)
{
    if (fstat(fileno(file), &out->info) != 0)
        return ERR_SYSTEM;
    out->text = malloc(FILE_SIZE_MAX + 1);
    if (out->text == NULL)
        return ERR_MEMORY;
    out->length = fread(out->text, 1, FILE_SIZE_MAX + 1, file);
    if (ferror(file) || out->length > FILE_SIZE_MAX)
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

static int finish_read(int err, int error, struct config_read *out, struct fault *fault)
{
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
    if (err == 0) {
        err = read_text(file, out);
        err = finish_read(err, errno, out, fault);
    }
    fclose(file);
    return err;
}

/* By position: other processes have the descriptor, too, and with it its offset. */
static int read_sealed(int fd, struct config_read *out)
{
    if (fstat(fd, &out->info) != 0)
        return ERR_SYSTEM;
    if (out->info.st_size > SEALED_MAX)
        return ERR_LENGTH;
    const size_t size = (size_t)out->info.st_size;
    out->text = malloc(size + 1);
    if (out->text == NULL)
        return ERR_MEMORY;
    while (out->length < size) {
        ssize_t got = pread(fd, out->text + out->length, size - out->length, (off_t)out->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ERR_SYSTEM;
        out->length += (size_t)got;
    }
    out->text[size] = 0;
    return 0;
}

int config_read_sealed(int fd, struct config_read *out, struct fault *fault)
{
    *out = (struct config_read){.text = NULL};
    return finish_read(read_sealed(fd, out), errno, out, fault);
}
