/* Somebody who has a process's memory and a recording of its channel, and tries what he finds as keys.
 *
 *     peer_keys PID
 *
 * Standard input: a line for each frame of the recording, "NUMBER HEX", its place in its direction and its
 * sealed bytes. Prints "NUMBER opened" for each that any 32 bytes of the memory, at an address that is a
 * multiple of 8, open as a Noise cipher state's key; the last line is "tried COUNT". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/noise.h"
#include "common/secret.h"

#define FRAMES_MAX 64
#define FRAME_MAX  4096
#define STEP       8
#define PAGE       4096
#define PIECE      (UINT64_C(1) << 20)
#define SHADOW     (UINT64_C(1) << 34) /* only a sanitizer maps as much, for its shadow, which holds no data */

static struct frame {
    uint64_t number;
    uint8_t sealed[FRAME_MAX];
    size_t length;
    bool opened;
} frames[FRAMES_MAX];
static size_t frame_count;
static uint64_t tried;

static _Noreturn void die(const char *text)
{
    fprintf(stderr, "peer_keys: %s: %s\n", text, strerror(errno));
    exit(2);
}

static void read_frames(void)
{
    static char hex[2 * FRAME_MAX + 2];
    for (; frame_count < FRAMES_MAX; frame_count++) {
        struct frame *frame = &frames[frame_count];
        if (scanf("%" SCNu64 " %8192s", &frame->number, hex) != 2)
            return;
        frame->length = strlen(hex) / 2;
        if (frame->length < NOISE_TAG_SIZE || hex_decode(frame->sealed, frame->length, hex) != 0)
            die("not a frame");
    }
}

static void try_key(const uint8_t key[static NOISE_KEY_SIZE])
{
    static uint8_t plain[FRAME_MAX];
    for (size_t i = 0; i < frame_count; i++) {
        struct noise_cipher cipher = {.counter = frames[i].number};
        memcpy(cipher.key, key, NOISE_KEY_SIZE);
        if (!frames[i].opened && noise_open(&cipher, frames[i].sealed, frames[i].length, plain) == 0)
            frames[i].opened = true;
    }
    tried++;
}

/* Zeros and other plain fillings are no keys. */
static bool may_be_key(const uint8_t *bytes)
{
    unsigned distinct = 0;
    uint64_t seen[4] = {0};
    for (size_t i = 0; i < NOISE_KEY_SIZE; i++) {
        uint64_t bit = UINT64_C(1) << (bytes[i] % 64);
        distinct += (seen[bytes[i] / 64] & bit) == 0;
        seen[bytes[i] / 64] |= bit;
    }
    return distinct >= 12; /* of 32 random bytes, fewer are distinct once in 10^20 */
}

/* A mapping is read in pieces, and a piece that nobody has touched is a hole in `pagemap` and left out.
 * Pieces overlap, so that no key lies across two. */
static void try_region(int memory, int pagemap, uint64_t from, uint64_t to)
{
    static uint8_t piece[PIECE + NOISE_KEY_SIZE - STEP];
    static uint64_t pages[PIECE / PAGE];
    for (; from < to; from += PIECE) {
        size_t length = to - from < sizeof piece ? (size_t)(to - from) : sizeof piece;
        bool touched = false;
        ssize_t known = pread(pagemap, pages, sizeof pages, (off_t)(from / PAGE * sizeof *pages));
        for (size_t i = 0; i < (known > 0 ? (size_t)known / sizeof *pages : 0); i++)
            touched = touched || pages[i] >> 62 != 0; /* present, or swapped */
        ssize_t got = touched ? pread(memory, piece, length, (off_t)from) : 0;
        for (ssize_t at = 0; at + NOISE_KEY_SIZE <= got; at += STEP)
            if (may_be_key(piece + at))
                try_key(piece + at);
    }
}

static void try_memory(const char *pid)
{
    char path[64], line[512], rights[8];
    uint64_t from, to;
    snprintf(path, sizeof path, "/proc/%s/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%s/pagemap", pid);
    int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (memory < 0 || pagemap < 0 || maps == NULL)
        die(path);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w' && to - from < SHADOW)
            try_region(memory, pagemap, from, to);
    fclose(maps);
    close(pagemap);
    close(memory);
}

int main(int argc, char *argv[])
{
    if (argc != 2 || secret_init() != 0)
        die("usage: peer_keys PID");
    read_frames();
    try_memory(argv[1]);
    for (size_t i = 0; i < frame_count; i++)
        if (frames[i].opened)
            printf("%" PRIu64 " opened\n", frames[i].number);
    printf("tried %" PRIu64 "\n", tried);
    return 0;
}
