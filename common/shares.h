/* Shares: how much of each turn of an event loop a party gets, however many members it has, so that parties
 * are served round robin and not members.
 *
 * The unit is a byte that is read; what costs more than its bytes is charged as so many more. A party whose
 * share of a turn is used up waits for the next turn: its members queue, first come, first served, and while
 * some of them wait, others of the party queue behind them. Unused share is not saved and overuse is not
 * owed: each turn begins with a whole share. So a turn lasts at most one share of each party, however many
 * members they have, and a party that is alone has one share after the other. Knows neither sockets nor a
 * clock. Every function takes constant time, but for shares_find_next(): in one turn it looks once at each
 * party that waits, and once at each member served. Pure; one thread at a time. */
#ifndef COMMON_SHARES_H
#define COMMON_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct share;

/* A member: embedded in whatever is served. Zero-initialised waits for nothing. */
struct share_waiter {
    struct share *share; /* whose queue it is in; NULL = in none */
    TAILQ_ENTRY(share_waiter) link;
};

TAILQ_HEAD(share_waiters, share_waiter);
TAILQ_HEAD(share_list, share);

/* A party: embedded in its owner, which keeps it while a member waits. */
struct share {
    uint64_t turn; /* `used` is of this one */
    size_t used;
    struct share_waiters waiters;
    struct share_list *list; /* of the parties in which a member waits; NULL = in none */
    TAILQ_ENTRY(share) link;
};

/* Of one loop; do not move it. */
struct shares {
    uint64_t turn;           /* counts */
    size_t each;             /* a party's share of a turn */
    struct share_list ready; /* members wait, and may be served in this turn */
    struct share_list spent; /* members wait, and the share of this turn is used up */
};

void shares_init(struct shares *shares, size_t each);
void share_init(struct share *share);

/* A new turn begins. */
void shares_begin_turn(struct shares *shares);
/* What SHARE has left of this turn. */
size_t shares_left(const struct shares *shares, const struct share *share);
/* True while members of SHARE wait: any further one queues behind them. */
bool share_is_awaited(const struct share *share);
/* AMOUNT was done for SHARE, which may be more than it had left. */
void shares_charge(struct shares *shares, struct share *share, size_t amount);

/* WAITER, which waits for nothing yet, queues at the end of SHARE. */
void shares_wait(struct shares *shares, struct share *share, struct share_waiter *waiter);
/* WAITER waits no more; allowed when it does not. */
void shares_leave(struct share_waiter *waiter);
/* The next member to serve, taken out of its queue, round robin over the parties. The caller charges what it
 * costs, or this would never end. NULL when no party with something left has a member that waits. */
struct share_waiter *shares_find_next(struct shares *shares);
/* True while anybody waits. */
bool shares_are_awaited(const struct shares *shares);

#endif
