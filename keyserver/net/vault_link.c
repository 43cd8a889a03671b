#include "keyserver/net/vault_link.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/secret.h"
#include "proto/operation_fields.h"

#define PENDING_FIRST_SIZE 64
#define RECEIVE_ROUNDS     8 /* batches received of one end in one turn, before others have theirs */

struct wall_end {
    uv_poll_t poll;
    struct vault_link *link; /* borrowed */
    struct wall_end *older;  /* owned by the link's list */
    struct wall wall;
    uint32_t number;              /* names it; never 0, never used twice */
    bool draining;                /* a newer one has taken over */
    bool lost;                    /* the vault is gone */
    bool done;                    /* draining, and nothing is open or left to learn */
    bool blocked;                 /* the wall took less than was offered */
    size_t open;                  /* submitted and not settled */
    struct wall_request *pending; /* owned; not yet taken by the wall */
    size_t first, count, size;    /* content begins at `first`; `size` slots allocated */
    struct wall_stats stats;      /* last reported */
};

struct vault_link {
    uv_loop_t *loop;                            /* borrowed */
    uv_prepare_t prepare;                       /* right before the loop sleeps */
    uv_idle_t again;                            /* keeps it from sleeping, for one turn */
    const struct vault_link_handlers *handlers; /* borrowed */
    void *user;                                 /* borrowed */
    struct wall_end *newest;                    /* owned list, newest first */
    size_t pending_max;                         /* of each end */
    size_t held;                                /* bytes of handshake messages in all pending requests */
    uint32_t numbers;                           /* handed out so far */
    uint64_t malformed;
    struct wall_stats retired; /* totals of vaults that are gone */
    size_t closing;            /* handles whose close callback is due */
    bool closed;
    struct wall_answer received[WALL_BATCH_MAX]; /* wiped after each batch */
};

static void on_prepare(uv_prepare_t *prepare);

struct vault_link *vault_link_new(uv_loop_t *loop, size_t pending_max,
                                  const struct vault_link_handlers *handlers, void *user)
{
    struct vault_link *link = calloc(1, sizeof *link);

    if (link == NULL)
        return NULL;
    link->loop = loop;
    link->pending_max = pending_max > VAULT_LINK_PENDING_MIN ? pending_max : VAULT_LINK_PENDING_MIN;
    link->handlers = handlers;
    link->user = user;
    uv_prepare_init(loop, &link->prepare); /* these two cannot fail */
    uv_idle_init(loop, &link->again);
    link->prepare.data = link->again.data = link;
    uv_prepare_start(&link->prepare, on_prepare);
    return link;
}

/* ---- ends ---- */

static void stats_add(struct wall_stats *total, const struct wall_stats *part)
{
    for (size_t kind = 0; kind < OP_KINDS; kind++) {
        for (size_t status = 0; status < STATUS_KINDS; status++)
            total->outcomes[kind][status] += part->outcomes[kind][status];
        total->busy_ns[kind] += part->busy_ns[kind];
    }
    for (size_t reason = 0; reason < REFUSAL_KINDS; reason++)
        total->refusals[reason] += part->refusals[reason];
    total->faults += part->faults;
    total->audit_withheld += part->audit_withheld;
    total->audit_unrecorded += part->audit_unrecorded;
    total->log_dropped += part->log_dropped;
}

/* A pending request owns a copy of what it borrows. */
static int hold_bytes(struct vault_link *link, struct wall_request *slot,
                      const struct operation_field *borrowed)
{
    size_t length = operation_field_length(&slot->operation, borrowed);
    if (length > VAULT_LINK_HELD_MAX - link->held)
        return ERR_BUSY;
    uint8_t *copy = malloc(length);
    if (copy == NULL)
        return ERR_MEMORY;
    memcpy(copy, operation_field_bytes(&slot->operation, borrowed), length);
    operation_field_set_bytes(&slot->operation, borrowed, copy, length);
    link->held += length;
    return 0;
}

/* The first COUNT pending requests are on their way, or lost. */
static void drop_pending(struct wall_end *end, size_t count)
{
    for (size_t i = end->first; i < end->first + count; i++) {
        const struct operation *operation = &end->pending[i].operation;
        const struct operation_field *borrowed = wall_request_borrowed(&end->pending[i]);
        if (borrowed == NULL)
            continue;
        end->link->held -= operation_field_length(operation, borrowed);
        union {
            const uint8_t *borrowed;
            uint8_t *own;
        } bytes = {.borrowed = operation_field_bytes(operation, borrowed)};
        free(bytes.own);
    }
    end->first += count;
    end->count -= count;
}

static void handle_closed(struct vault_link *link)
{
    if (--link->closing == 0 && link->closed)
        free(link);
}

static void on_link_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_end_closed(uv_handle_t *handle)
{
    struct wall_end *end = handle->data;
    struct vault_link *link = end->link;

    free(end->pending);
    free(end);
    handle_closed(link);
}

/* Takes END out of the list; its memory goes with the close callback. */
static void end_remove(struct wall_end *end)
{
    struct vault_link *link = end->link;
    struct wall_end **at = &link->newest;

    while (*at != end)
        at = &(*at)->older;
    *at = end->older;
    stats_add(&link->retired, &end->stats);
    drop_pending(end, end->count);
    link->closing++;
    uv_close((uv_handle_t *)&end->poll, on_end_closed);
    wall_close(&end->wall);
}

static void end_lose(struct wall_end *end)
{
    struct vault_link *link = end->link;
    uint32_t number = end->number;

    end_remove(end);
    link->handlers->on_lost(number, link->user);
}

static struct wall_end *end_find(struct vault_link *link, uint32_t number)
{
    struct wall_end *end = link->newest;

    while (end != NULL && end->number != number)
        end = end->older;
    return end;
}

static struct wall_end *current(const struct vault_link *link)
{
    return link->newest != NULL && !link->newest->draining && !link->newest->lost ? link->newest : NULL;
}

/* What there is to do shows when the turn of the loop ends. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct wall_end *end = poll->data;

    (void)events;
    wall_woken(&end->wall);
    end->lost |= status < 0;
}

static void rate_limit_ends(struct vault_link *link)
{
    size_t count = 1;
    struct wall_end *oldest = link->newest;

    for (; oldest->older != NULL; oldest = oldest->older)
        count++;
    if (count > VAULT_LINK_ENDS_MAX)
        end_lose(oldest);
}

int vault_link_adopt(struct vault_link *link, int fd)
{
    struct wall_end *end = calloc(1, sizeof *end);
    int err = end != NULL ? wall_adopt(&end->wall, fd) : ERR_MEMORY;

    if (err != 0) {
        if (end == NULL)
            close(fd);
        free(end);
        return err;
    }
    if (uv_poll_init(link->loop, &end->poll, wall_fd(&end->wall)) != 0) {
        wall_close(&end->wall);
        free(end);
        return ERR_SYSTEM;
    }
    end->poll.data = end;
    end->link = link;
    end->number = ++link->numbers;
    end->stats.ready = 1; /* the supervisor hands over no other */
    if (link->newest != NULL)
        link->newest->draining = true;
    end->older = link->newest;
    link->newest = end;
    if (uv_poll_start(&end->poll, UV_READABLE, on_poll) != 0) {
        end_remove(end);
        return ERR_SYSTEM;
    }
    rate_limit_ends(link);
    return 0;
}

void vault_link_close(struct vault_link *link)
{
    if (link == NULL)
        return;
    link->closed = true;
    while (link->newest != NULL)
        end_remove(link->newest);
    link->closing += 2;
    uv_close((uv_handle_t *)&link->prepare, on_link_closed);
    uv_close((uv_handle_t *)&link->again, on_link_closed);
}

/* ---- net → vault ---- */

/* Where the next pending request goes, or NULL when too many wait or there is no memory. */
static struct wall_request *pending_slot(struct wall_end *end)
{
    if (end->first + end->count < end->size)
        return &end->pending[end->first + end->count];
    if (end->first > 0) {
        memmove(end->pending, end->pending + end->first, end->count * sizeof *end->pending);
        end->first = 0;
        return &end->pending[end->count];
    }
    if (end->size >= end->link->pending_max)
        return NULL;
    size_t size = end->size == 0 ? PENDING_FIRST_SIZE : end->size * 2;
    if (size > end->link->pending_max)
        size = end->link->pending_max;
    struct wall_request *pending = realloc(end->pending, size * sizeof *pending);
    if (pending == NULL)
        return NULL;
    end->pending = pending;
    end->size = size;
    return &end->pending[end->count];
}

int vault_link_submit(struct vault_link *link, const struct msg_request *request,
                      const struct slot_origin *origin, uint32_t *wall)
{
    struct wall_end *end = current(link);

    if (end == NULL)
        return ERR_NOT_FOUND;
    struct wall_request *slot = pending_slot(end);
    if (slot == NULL)
        return ERR_BUSY;
    slot_fill(slot, request, origin);
    const struct operation_field *borrowed = wall_request_borrowed(slot);
    int err = borrowed != NULL ? hold_bytes(link, slot, borrowed) : 0;
    if (err != 0)
        return err;
    end->count++;
    end->open++;
    *wall = end->number;
    return 0;
}

void vault_link_want_epoch(struct vault_link *link, const uint8_t edge_key[static IDENTITY_KEY_SIZE])
{
    struct wall_end *end = current(link);
    struct wall_request *slot = end != NULL ? pending_slot(end) : NULL;

    if (slot == NULL)
        return; /* the next epoch brings the next occasion */
    memset(slot, 0, sizeof *slot);
    slot->kind = WALL_EPOCH_WANTED;
    memcpy(slot->edge_key, edge_key, sizeof slot->edge_key);
    end->count++;
}

void vault_link_settle(struct vault_link *link, uint32_t wall, uint64_t token, bool wanted_no_more)
{
    struct wall_end *end = end_find(link, wall);

    if (end == NULL)
        return;
    if (end->open > 0)
        end->open--;
    if (!wanted_no_more)
        return;
    struct wall_request *slot = pending_slot(end);
    if (slot == NULL)
        return; /* the vault computes for nobody, and its answer finds nothing */
    memset(slot, 0, sizeof *slot);
    slot->kind = WALL_CANCEL;
    slot->token = token;
    end->count++;
}

/* Offers what waits; notes when the vault is gone. */
static void end_flush(struct wall_end *end)
{
    int taken = wall_send_requests(&end->wall, end->pending + end->first, end->count);
    if (taken < 0) {
        end->lost = true;
        return;
    }
    end->blocked = (size_t)taken < end->count;
    drop_pending(end, (size_t)taken);
    if (end->count == 0)
        end->first = 0;
}

void vault_link_flush(struct vault_link *link)
{
    struct wall_end *end = link->newest;

    while (end != NULL) {
        struct wall_end *older = end->older;
        if (!end->lost && end->count > 0)
            end_flush(end);
        if (end->lost)
            end_lose(end);
        else if (end->done)
            end_remove(end);
        end = older;
    }
}

/* ---- vault → net ---- */

static void end_take(struct wall_end *end, const struct wall_answer *answer)
{
    struct vault_link *link = end->link;

    if (wall_answer_check(answer) != 0) {
        link->malformed++;
    } else if (answer->kind == WALL_STATS) {
        end->stats = answer->u.stats;
        /* It came after the last answer, so the totals are whole and the end may go. */
        end->done = end->draining && end->open == 0;
        link->handlers->on_stats(end->number, link->user);
    } else if (answer->kind == WALL_EPOCH) {
        if (end == current(link))
            link->handlers->on_epoch(answer, link->user);
    } else {
        link->handlers->on_answer(answer, link->user);
    }
}

/* Receives what is there; notes when the vault is gone. END stays in its list meanwhile. */
static void end_receive(struct wall_end *end)
{
    struct vault_link *link = end->link;

    for (int round = 0; round < RECEIVE_ROUNDS; round++) {
        int count = wall_receive_answers(&end->wall, link->received, WALL_BATCH_MAX);
        if (count == ERR_FORMAT) {
            link->malformed++;
            continue;
        }
        if (count < 0) {
            end->lost = true;
            link->malformed += end->wall.garbage;
        }
        if (count <= 0)
            return;
        for (int i = 0; i < count; i++)
            end_take(end, &link->received[i]);
        wipe(link->received, (size_t)count * sizeof link->received[0]);
    }
}

void vault_link_take(struct vault_link *link)
{
    struct wall_end *end = link->newest;

    while (end != NULL) {
        struct wall_end *older = end->older;
        if (!end->lost)
            end_receive(end);
        if (end->lost)
            end_lose(end);
        end = older;
    }
}

static void on_again(uv_idle_t *again)
{
    uv_idle_stop(again);
}

/* From here on a vault wakes this process, unless it has sent something meanwhile. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct vault_link *link = prepare->data;
    bool sleeps = true;

    for (struct wall_end *end = link->newest; end != NULL && sleeps; end = end->older)
        sleeps = !end->lost && wall_sleep(&end->wall, WALL_SLOTS | (end->blocked ? WALL_ROOM : 0u));
    if (!sleeps)
        uv_idle_start(&link->again, on_again);
}

/* ---- figures ---- */

uint32_t vault_link_ready(const struct vault_link *link)
{
    const struct wall_end *end = current(link);
    return end != NULL && end->stats.ready == 1 ? end->number : 0;
}

void vault_link_stats(const struct vault_link *link, struct wall_stats *out)
{
    const struct wall_end *newest = current(link);

    *out = newest != NULL ? newest->stats : (struct wall_stats){.ready = 0};
    stats_add(out, &link->retired);
    for (const struct wall_end *end = link->newest; end != NULL; end = end->older) {
        if (end != newest)
            stats_add(out, &end->stats);
    }
}

uint64_t vault_link_malformed(const struct vault_link *link)
{
    return link->malformed;
}
