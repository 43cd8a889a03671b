#include "keyserver/vault/audit/handover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"

#define PLACES     2    /* written in turn: a writer that is killed leaves the other one as it was */
#define PLACE_SIZE 4096 /* bytes: no write is across two pages */
#define COUNTS_AT  (PLACES * PLACE_SIZE) /* of the first counts */
#define TRIES      100 /* to read while another writes: each time both places would have to change */

struct page {
    uint64_t turn; /* the higher one counts */
    struct handover_state state;
    uint8_t digest[32]; /* of what stands before it */
};

_Static_assert(sizeof(struct page) <= PLACE_SIZE, "a page is written at once");

static void digest_of(const struct page *page, uint8_t out[static 32])
{
    sha256(out, page, offsetof(struct page, digest));
}

static bool read_page(int fd, unsigned place, struct page *out)
{
    uint8_t digest[32];
    if (pread(fd, out, sizeof *out, (off_t)(place * PLACE_SIZE)) != (ssize_t)sizeof *out || out->turn == 0)
        return false;
    digest_of(out, digest);
    return memcmp(digest, out->digest, sizeof digest) == 0;
}

/* The page that was written last; turn 0: there is none. */
static struct page find_page(int fd)
{
    struct page last = {.turn = 0}, page;
    for (unsigned place = 0; place < PLACES; place++)
        if (read_page(fd, place, &page) && page.turn > last.turn)
            last = page;
    return last;
}

int handover_read(int fd, struct handover_state *out)
{
    for (unsigned i = 0; i < TRIES; i++) {
        const struct page page = find_page(fd);
        if (page.turn == 0 && lseek(fd, 0, SEEK_END) > 0)
            continue; /* both were being written */
        *out = page.state;
        return page.turn != 0 ? 0 : ERR_NOT_FOUND;
    }
    return ERR_NOT_FOUND;
}

/* When it cannot be written there is no memory; what was written before stays, and the disk has it, too. */
static void leave(struct handover *handover)
{
    if (handover->fd <= 0)
        return;
    struct page page;
    memset(&page, 0, sizeof page);
    page.turn = ++handover->turn;
    page.state = handover->own;
    digest_of(&page, page.digest);
    (void)!pwrite(handover->fd, &page, sizeof page, (off_t)(page.turn % PLACES * PLACE_SIZE));
}

void handover_look(struct handover *handover)
{
    struct handover_state now;
    if (handover->before_fd > 0 && handover_read(handover->before_fd, &now) == 0)
        handover->before = now;
}

/* That of the vault before, or a new one. */
static void take_id(struct handover *handover)
{
    static const uint8_t none[HANDOVER_ID_SIZE];
    memcpy(handover->own.id, handover->before.id, sizeof none);
    if (memcmp(handover->own.id, none, sizeof none) == 0)
        random_bytes(handover->own.id, sizeof none);
}

void handover_init(struct handover *handover, int before, int own, bool served)
{
    memset(handover, 0, sizeof *handover);
    handover->fd = own;
    handover->before_fd = before;
    handover->served = served && before >= 0;
    handover_look(handover);
    take_id(handover);
    handover->own.epoch_ms = handover->before.epoch_ms;
    handover->own.mono_ms = handover->before.mono_ms;
    leave(handover);
}

uint64_t handover_epoch(const struct handover *handover, uint64_t mono_ms)
{
    const struct handover_state *before = &handover->before;
    uint64_t passed = mono_ms > before->mono_ms ? mono_ms - before->mono_ms : 0;
    return before->epoch_ms != 0 ? before->epoch_ms + passed : 0;
}

void handover_leave_epoch(struct handover *handover, uint64_t epoch_ms, uint64_t mono_ms)
{
    handover->own.epoch_ms = epoch_ms;
    handover->own.mono_ms = mono_ms;
    leave(handover);
}

/* ---- the log ---- */

static void name_place(const char *path, uint8_t out[static 32])
{
    sha256(out, path, strlen(path));
}

void handover_leave_log(struct handover *handover, const char *path, int folder,
                        const struct audit_link *link)
{
    struct stat info;
    name_place(path, handover->own.place);
    if (fstat(folder, &info) == 0) {
        handover->own.folder_device = info.st_dev;
        handover->own.folder_inode = info.st_ino;
    }
    handover->own.link = *link;
    leave(handover);
}

void handover_leave_link(struct handover *handover, const struct audit_link *link)
{
    if (handover->own.link.seq == link->seq)
        return;
    handover->own.link = *link;
    leave(handover);
}

void handover_leave_failing(struct handover *handover, bool failing)
{
    handover->own.failing = failing;
    leave(handover);
}

bool handover_is_of(const struct handover_state *state, const char *path)
{
    uint8_t place[32];
    name_place(path, place);
    return memcmp(state->place, place, sizeof place) == 0;
}

bool handover_is_in(const struct handover_state *state, int folder)
{
    struct stat info;
    return fstat(folder, &info) == 0 && info.st_dev == state->folder_device &&
           info.st_ino == state->folder_inode;
}

/* ---- counts ---- */

/* Where SIZE bytes of counts have room beside those of STATE: before them, or behind them. */
static uint64_t find_room(const struct handover_state *state, size_t size)
{
    if (state->counts_at == 0 || COUNTS_AT + size <= state->counts_at)
        return COUNTS_AT;
    return state->counts_at + state->counts * sizeof(struct handover_count);
}

/* When the writer is killed in here, what it left before still stands. */
int handover_leave_counts(struct handover *handover, const struct handover_count *counts, size_t count)
{
    size_t size = count * sizeof *counts;
    uint64_t at = find_room(&handover->own, size);
    if (handover->fd <= 0)
        return 0;
    if (size > 0 && pwrite(handover->fd, counts, size, (off_t)at) != (ssize_t)size)
        return ERR_SYSTEM;
    handover->own.counts = count;
    handover->own.counts_at = at;
    handover->own.counts_seq = handover->own.link.seq;
    sha256(handover->own.counts_digest, counts, size);
    leave(handover);
    return 0;
}

static int read_counts(int fd, const struct handover_state *state, struct handover_count **out)
{
    uint8_t digest[32];
    off_t end = lseek(fd, 0, SEEK_END);
    *out = NULL;
    if (end < 0 || state->counts > (uint64_t)end / sizeof **out)
        return ERR_NOT_FOUND;
    size_t size = state->counts * sizeof **out;
    *out = malloc(size + 1);
    if (*out == NULL)
        return ERR_MEMORY;
    if (pread(fd, *out, size, (off_t)state->counts_at) == (ssize_t)size) {
        sha256(digest, *out, size);
        if (memcmp(digest, state->counts_digest, sizeof digest) == 0)
            return 0;
    }
    free(*out);
    *out = NULL;
    return ERR_NOT_FOUND;
}

int handover_read_counts(const struct handover *handover, struct handover_count **out, size_t *count)
{
    int err = ERR_NOT_FOUND;
    *out = NULL;
    *count = 0;
    for (unsigned i = 0; i < TRIES && err == ERR_NOT_FOUND && handover->before_fd > 0; i++) {
        struct handover_state state;
        if (handover_read(handover->before_fd, &state) != 0 || state.counts_at == 0)
            return ERR_NOT_FOUND;
        err = read_counts(handover->before_fd, &state, out);
        *count = err == 0 ? state.counts : 0;
    }
    return err;
}
