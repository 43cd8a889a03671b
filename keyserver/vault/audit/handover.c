#include "keyserver/vault/audit/handover.h"

#include <string.h>
#include <unistd.h>

#include "common/secret.h"

#define PLACES     2    /* written in turn: a writer that is killed leaves the other one as it was */
#define PLACE_SIZE 4096 /* bytes: no write is across two pages */
#define TRIES      100  /* to read while another writes: each time both places would have to change */

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

void handover_init(struct handover *handover, int before, int own)
{
    memset(handover, 0, sizeof *handover);
    handover->fd = own;
    if (before >= 0 && handover_read(before, &handover->before) != 0)
        memset(&handover->before, 0, sizeof handover->before);
    handover->own = handover->before;
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
