#include "common/shares.h"

#include <assert.h>

void shares_init(struct shares *shares, size_t each)
{
    *shares = (struct shares){.turn = 1, .each = each};
    TAILQ_INIT(&shares->ready);
    TAILQ_INIT(&shares->spent);
}

void share_init(struct share *share)
{
    *share = (struct share){.turn = 0};
    TAILQ_INIT(&share->waiters);
}

/* Moves SHARE to the end of LIST (NULL: of no list). */
static void enlist(struct share *share, struct share_list *list)
{
    if (share->list != NULL)
        TAILQ_REMOVE(share->list, share, link);
    share->list = list;
    if (list != NULL)
        TAILQ_INSERT_TAIL(list, share, link);
}

void shares_begin_turn(struct shares *shares)
{
    struct share *share;

    shares->turn++;
    while ((share = TAILQ_FIRST(&shares->spent)) != NULL)
        enlist(share, &shares->ready);
}

size_t shares_left(const struct shares *shares, const struct share *share)
{
    size_t used = share->turn == shares->turn ? share->used : 0;

    return used < shares->each ? shares->each - used : 0;
}

bool share_is_awaited(const struct share *share)
{
    return !TAILQ_EMPTY(&share->waiters);
}

void shares_charge(struct shares *shares, struct share *share, size_t amount)
{
    size_t left = shares_left(shares, share);

    share->used = shares->each - (amount < left ? left - amount : 0);
    share->turn = shares->turn;
}

void shares_wait(struct shares *shares, struct share *share, struct share_waiter *waiter)
{
    assert(waiter->share == NULL);
    waiter->share = share;
    TAILQ_INSERT_TAIL(&share->waiters, waiter, link);
    if (share->list == NULL)
        enlist(share, shares_left(shares, share) > 0 ? &shares->ready : &shares->spent);
}

void shares_leave(struct share_waiter *waiter)
{
    struct share *share = waiter->share;

    if (share == NULL)
        return;
    waiter->share = NULL;
    TAILQ_REMOVE(&share->waiters, waiter, link);
    if (!share_is_awaited(share))
        enlist(share, NULL);
}

struct share_waiter *shares_find_next(struct shares *shares)
{
    struct share *share;

    while ((share = TAILQ_FIRST(&shares->ready)) != NULL) {
        struct share_waiter *waiter = TAILQ_FIRST(&share->waiters);
        if (shares_left(shares, share) == 0) {
            enlist(share, &shares->spent);
            continue;
        }
        enlist(share, &shares->ready); /* behind the others */
        shares_leave(waiter);
        return waiter;
    }
    return NULL;
}

bool shares_are_awaited(const struct shares *shares)
{
    return !TAILQ_EMPTY(&shares->ready) || !TAILQ_EMPTY(&shares->spent);
}
