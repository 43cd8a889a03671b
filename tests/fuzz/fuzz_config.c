/* Any file is a configuration or a fault; what was read is written and read again to the same text. Files
 * that include others by absolute names are left out: the fuzzer would find its way into /dev. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edge/edge_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Loads TEXT from a file that lives in memory only. */
static int load(struct edge_config *out, const void *text, size_t length)
{
    char path[64];
    struct fault fault = {{0}};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, text, length) == (ssize_t)length);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(out, 0, sizeof *out);
    int err = config_load(path, edge_config_table, out, &fault);
    must((err == 0) == (fault.text[0] == 0));
    close(fd);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct edge_config first;
    struct edge_config second;
    struct buffer once;
    struct buffer twice;
    if (memmem(bytes, length, "include", 7) != NULL && memchr(bytes, '/', length) != NULL)
        return 0;
    if (load(&first, bytes, length) != 0)
        return 0;
    buffer_init(&once);
    buffer_init(&twice);
    must(config_dump(edge_config_table, &first, &once) == 0);
    must(load(&second, buffer_bytes(&once), buffer_length(&once)) == 0);
    must(config_dump(edge_config_table, &second, &twice) == 0);
    must(buffer_length(&once) == buffer_length(&twice));
    must(memcmp(buffer_bytes(&once), buffer_bytes(&twice), buffer_length(&once)) == 0);
    buffer_clear(&once);
    buffer_clear(&twice);
    edge_config_clear(&first);
    edge_config_clear(&second);
    return 0;
}
