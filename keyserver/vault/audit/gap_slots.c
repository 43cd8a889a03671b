#include "keyserver/vault/audit/gap_slots.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/secret.h"

#define PLACES 2   /* of a slot, written alternately: a writer that is killed spares the other */
#define TRIES  100 /* to read while another writes: each time both places would have to change */

struct place {
    uint64_t sequence; /* the higher one is the newer; it never falls, whoever has the slot */
    struct gap_state state;
    uint64_t digest; /* who reads while it is written sees that */
    uint64_t unused;
};

struct slot {
    struct place place[PLACES];
};

/* Of all slots, the place that was written last; one that cannot be read is not `whole`. */
struct view {
    struct place last[GAP_SLOTS];
    bool whole[GAP_SLOTS];
};

_Static_assert(sizeof(struct place) == 64, "a place is written at once: it is across no two pages");

#define TURN_AT ((off_t)(GAP_SLOTS * sizeof(struct slot))) /* the lock of who claims or takes over */

/* ---- what is read and written ---- */

/* Nobody forges: it only has to differ when half of a place is another one's. */
static uint64_t digest_of(const struct place *place)
{
    static const uint8_t key[SHORT_HASH_KEY_SIZE] = {2};
    uint64_t digest = short_hash(key, place, offsetof(struct place, digest));
    return digest != 0 ? digest : 1;
}

/* That of a new file is, too: nothing was left there. */
static bool is_whole(const struct place *place)
{
    return place->sequence == 0 ? place->digest == 0 : place->digest == digest_of(place);
}

/* False: both are being written. */
static bool find_last(const struct slot *slot, struct place *out)
{
    bool found = false;
    *out = (struct place){.sequence = 0};
    for (size_t i = 0; i < PLACES; i++)
        if (is_whole(&slot->place[i])) {
            found = true;
            if (slot->place[i].sequence > out->sequence)
                *out = slot->place[i];
        }
    return found;
}

static void look(int fd, struct view *out)
{
    struct slot slots[GAP_SLOTS];
    bool whole = false;
    for (unsigned i = 0; i < TRIES && !whole; i++) {
        memset(slots, 0, sizeof slots);
        (void)!pread(fd, slots, sizeof slots, 0); /* a new file is shorter */
        whole = true;
        for (size_t j = 0; j < GAP_SLOTS; j++) {
            out->whole[j] = find_last(&slots[j], &out->last[j]);
            whole = whole && out->whole[j];
        }
    }
}

/* SEQUENCE is that of what stands there, and then that of what is written. */
static int write_slot(int fd, size_t index, uint64_t *sequence, const struct gap_state *state)
{
    struct place place = {.sequence = *sequence + 1, .state = *state};
    place.digest = digest_of(&place);
    off_t at = (off_t)(index * sizeof(struct slot) + place.sequence % PLACES * sizeof place);
    if (pwrite(fd, &place, sizeof place, at) != (ssize_t)sizeof place)
        return ERR_SYSTEM;
    *sequence = place.sequence;
    return 0;
}

static struct flock lock_at(short type, off_t at)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

static bool set_lock(int fd, short type, off_t at)
{
    struct flock lock = lock_at(type, at);
    return fcntl(fd, F_SETLK, &lock) == 0;
}

static off_t slot_at(size_t index)
{
    return (off_t)(index * sizeof(struct slot));
}

/* No other process has it. While this one may claim, none can begin to. */
static bool is_free(int fd, size_t index)
{
    struct flock lock = lock_at(F_WRLCK, slot_at(index));
    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

/* ---- numbers ---- */

bool gap_number_is_empty(const struct gap_number *number)
{
    return number->unrecorded == 0 && number->withheld == 0;
}

static struct gap_number sum_of(const struct gap_number *a, const struct gap_number *b)
{
    if (gap_number_is_empty(b))
        return *a;
    if (gap_number_is_empty(a))
        return *b;
    return (struct gap_number){.since_ms = a->since_ms < b->since_ms ? a->since_ms : b->since_ms,
                               .unrecorded = a->unrecorded + b->unrecorded,
                               .withheld = a->withheld + b->withheld};
}

static bool is_same(const struct gap_number *a, const struct gap_number *b)
{
    return a->since_ms == b->since_ms && a->unrecorded == b->unrecorded && a->withheld == b->withheld;
}

/* ---- taking over, with the lock of who may ---- */

/* What it says of others stays: their sequence numbers are used up. */
static int empty(int fd, struct view *view, size_t index)
{
    struct place *last = &view->last[index];
    last->state.number = (struct gap_number){.since_ms = 0};
    return write_slot(fd, index, &last->sequence, &last->state);
}

/* Empties the slot that another one already holds: who took it over was killed before it was emptied. */
static int finish_others(int fd, struct view *view)
{
    for (size_t i = 0; i < GAP_SLOTS; i++) {
        const struct gap_state *state = &view->last[i].state;
        if (!view->whole[i] || state->taken == 0 || state->taken > GAP_SLOTS)
            continue;
        size_t taken = state->taken - 1;
        if (view->whole[taken] && view->last[taken].sequence == state->taken_sequence &&
            empty(fd, view, taken) != 0)
            return ERR_SYSTEM;
    }
    return 0;
}

/* With a slot comes what stands there. */
static int claim(struct gap_slots *slots, const struct view *view, struct gap_number *number)
{
    for (size_t i = 0; i < GAP_SLOTS; i++) {
        if (!view->whole[i] || !is_free(slots->fd, i) || !set_lock(slots->fd, F_WRLCK, slot_at(i)))
            continue;
        slots->claimed = true;
        slots->own = i;
        slots->sequence = view->last[i].sequence;
        slots->state = view->last[i].state;
        *number = sum_of(number, &slots->state.number);
        return 0;
    }
    return ERR_BUSY;
}

static int write_own(struct gap_slots *slots, const struct gap_state *state)
{
    int err = write_slot(slots->fd, slots->own, &slots->sequence, state);
    if (err == 0)
        slots->state = *state;
    return err;
}

/* First the sum is left, with where a part of it comes from, then that is emptied. */
static int take_slot(struct gap_slots *slots, struct view *view, size_t index, struct gap_number *number)
{
    const struct place *from = &view->last[index];
    const struct gap_state state = {
        .number = sum_of(number, &from->state.number), .taken = index + 1, .taken_sequence = from->sequence};
    if (write_own(slots, &state) != 0)
        return ERR_SYSTEM;
    *number = state.number;
    return empty(slots->fd, view, index);
}

static bool has_number(const struct gap_slots *slots, const struct view *view, size_t index)
{
    return index != slots->own && view->whole[index] && !gap_number_is_empty(&view->last[index].state.number);
}

static void leave_own(struct gap_slots *slots, const struct gap_number *number)
{
    struct gap_state state = slots->state;
    state.number = *number;
    if (!is_same(&slots->state.number, number))
        (void)write_own(slots, &state);
}

static void take_all(struct gap_slots *slots, struct gap_number *number)
{
    struct view view;
    look(slots->fd, &view);
    if (finish_others(slots->fd, &view) != 0 || (!slots->claimed && claim(slots, &view, number) != 0))
        return;
    leave_own(slots, number);
    for (size_t i = 0; i < GAP_SLOTS; i++)
        if (has_number(slots, &view, i) && is_free(slots->fd, i) && take_slot(slots, &view, i, number) != 0)
            return;
}

/* ---- use ---- */

void gap_slots_init(struct gap_slots *slots, int fd)
{
    *slots = (struct gap_slots){.fd = fd};
}

static bool is_due(const struct gap_slots *slots)
{
    struct view view;
    look(slots->fd, &view);
    for (size_t i = 0; i < GAP_SLOTS; i++)
        if (has_number(slots, &view, i))
            return true;
    return false;
}

void gap_slots_gather(struct gap_slots *slots, struct gap_number *number)
{
    if (slots->fd <= 0)
        return;
    if (slots->claimed) {
        leave_own(slots, number);
        if (!is_due(slots))
            return;
    }
    if (!set_lock(slots->fd, F_WRLCK, TURN_AT))
        return;
    take_all(slots, number);
    (void)set_lock(slots->fd, F_UNLCK, TURN_AT);
}

void gap_slots_leave(struct gap_slots *slots, struct gap_number *number)
{
    if (slots->claimed)
        leave_own(slots, number);
    else
        gap_slots_gather(slots, number);
}
