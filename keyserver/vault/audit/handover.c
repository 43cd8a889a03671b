#include "keyserver/vault/audit/handover.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"

#define PLACES     2    /* written alternately: a writer that is killed leaves the other one as it was */
#define PLACE_SIZE 4096 /* bytes: no write is across two pages */
#define COUNTS_AT  (PLACES * PLACE_SIZE) /* of the first count */
#define TRIES      100 /* to read while another writes: each time both places would have to change */

struct page {
    uint64_t sequence; /* the higher one is the newer */
    struct handover_state state;
    uint8_t digest[SHA256_SIZE]; /* of what stands before it */
};

_Static_assert(sizeof(struct page) <= PLACE_SIZE, "a page is written at once");

static void digest_of(const struct page *page, uint8_t out[static 32])
{
    sha256(out, page, offsetof(struct page, digest));
}

static bool read_page(int fd, unsigned place, struct page *out)
{
    uint8_t digest[SHA256_SIZE];
    if (pread(fd, out, sizeof *out, (off_t)(place * PLACE_SIZE)) != (ssize_t)sizeof *out ||
        out->sequence == 0)
        return false;
    digest_of(out, digest);
    return memcmp(digest, out->digest, sizeof digest) == 0;
}

/* The page that was written last; sequence 0: there is none. */
static struct page find_page(int fd)
{
    struct page last = {.sequence = 0}, page;
    for (unsigned place = 0; place < PLACES; place++)
        if (read_page(fd, place, &page) && page.sequence > last.sequence)
            last = page;
    return last;
}

int handover_read(int fd, struct handover_state *out)
{
    for (unsigned i = 0; i < TRIES; i++) {
        const struct page page = find_page(fd);
        if (page.sequence == 0 && lseek(fd, 0, SEEK_END) > 0)
            continue; /* both were being written */
        *out = page.state;
        return page.sequence != 0 ? 0 : ERR_NOT_FOUND;
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
    page.sequence = ++handover->sequence;
    page.state = handover->own;
    digest_of(&page, page.digest);
    (void)!pwrite(handover->fd, &page, sizeof page, (off_t)(page.sequence % PLACES * PLACE_SIZE));
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
    uint8_t place[SHA256_SIZE];
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

#define SLOT_SIZE 256 /* bytes: divides a page, so no slot is across two */

struct slot {
    _Alignas(SLOT_SIZE) struct handover_count count; /* nor is it in the memory that it is written from */
    uint64_t digest; /* who reads while it is written sees that; 0: nothing was ever left here */
};

_Static_assert(sizeof(struct slot) == SLOT_SIZE && PLACE_SIZE % SLOT_SIZE == 0, "a slot is written at once");

/* Nobody forges: it only has to differ when half of a slot is another one's. */
static uint64_t digest_slot(const struct slot *slot)
{
    static const uint8_t key[16] = {1};
    uint64_t digest = short_hash(key, &slot->count, sizeof slot->count);
    return digest != 0 ? digest : 1;
}

int handover_leave_count(struct handover *handover, size_t place, const struct handover_count *count)
{
    if (handover->fd <= 0)
        return 0;
    struct slot slot;
    memset(&slot, 0, sizeof slot);
    slot.count = *count;
    slot.digest = digest_slot(&slot);
    off_t at = COUNTS_AT + (off_t)(place * SLOT_SIZE);
    return pwrite(handover->fd, &slot, sizeof slot, at) == (ssize_t)sizeof slot ? 0 : ERR_SYSTEM;
}

/* Reads SLOT, which stands at AT, again for as long as it is being written. False: nothing was left there. */
static bool settle_slot(int fd, struct slot *slot, off_t at)
{
    for (unsigned i = 0; i < TRIES && slot->digest != 0; i++) {
        if (digest_slot(slot) == slot->digest)
            return true;
        if (pread(fd, slot, sizeof *slot, at) != (ssize_t)sizeof *slot)
            return false;
    }
    return false;
}

/* Tells of those of SLOTS that hold a count; they stand at AT. */
static void tell_slots(int fd, struct slot *slots, size_t count, off_t at,
                       void (*tell)(const struct handover_count *count, void *user), void *user)
{
    for (size_t i = 0; i < count; i++) {
        struct handover_count *one = &slots[i].count;
        if (!settle_slot(fd, &slots[i], at + (off_t)(i * SLOT_SIZE)))
            continue;
        one->edge[sizeof one->edge - 1] = one->key[sizeof one->key - 1] = 0;
        tell(one, user);
    }
}

size_t handover_each_count(const struct handover *handover, size_t first, size_t most,
                           void (*tell)(const struct handover_count *count, void *user), void *user)
{
    struct slot slots[PLACE_SIZE / SLOT_SIZE];
    const int fd = handover->before_fd;
    size_t looked = 0;
    while (fd > 0 && looked < most) {
        size_t wanted = most - looked < PLACE_SIZE / SLOT_SIZE ? most - looked : PLACE_SIZE / SLOT_SIZE;
        off_t at = COUNTS_AT + (off_t)((first + looked) * SLOT_SIZE);
        ssize_t length = pread(fd, slots, wanted * SLOT_SIZE, at);
        size_t count = length > 0 ? (size_t)length / SLOT_SIZE : 0;
        tell_slots(fd, slots, count, at, tell, user);
        looked += count;
        if (count < wanted)
            break;
    }
    return looked;
}
