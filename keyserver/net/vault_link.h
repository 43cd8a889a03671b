/* The link to the vault: this process's ends of the wall, the current one and those that drain.
 *
 * Requests gather and go through in batches once per turn of the loop; answers come up one by one, checked. A
 * loop that has something to do finds them without being woken.
 * A new end from the supervisor takes over at once, while the old one stays until what is open on it has been
 * answered. Knows tokens, not whose they are. Loop thread only. */
#ifndef KEYSERVER_NET_VAULT_LINK_H
#define KEYSERVER_NET_VAULT_LINK_H

#include <uv.h>

#include "common/metrics.h"
#include "keyserver/net/slot.h"
#include "keyserver/wall/wall.h"

#define VAULT_LINK_PENDING_MIN 1024        /* may gather in one turn of the loop, however short the queue */
#define VAULT_LINK_ENDS_MAX    4           /* a further one ends the oldest that drains */
#define VAULT_LINK_HELD_MAX    (32u << 20) /* bytes of handshake messages that may gather */

struct vault_link;

struct vault_link_handlers {
    /* A WALL_OUTCOME or WALL_KEYS that passed wall_answer_check(); borrowed and wiped afterwards. Its token
     * is still only a claim. */
    void (*on_answer)(const struct wall_answer *answer, void *user);
    /* The current vault's epoch key of one edge: a WALL_EPOCH; borrowed and wiped afterwards. */
    void (*on_epoch)(const struct wall_answer *answer, void *user);
    /* The vault behind WALL has given its figures: see vault_link_stats(). */
    void (*on_stats)(uint32_t wall, void *user);
    /* The vault behind WALL is gone: nothing sent there will be answered any more. */
    void (*on_lost)(uint32_t wall, void *user);
};

/* Of each vault's requests at most PENDING_MAX (not less than VAULT_LINK_PENDING_MIN) wait for the wall to
 * take them. HANDLERS and USER are borrowed. NULL without memory. */
struct vault_link *vault_link_new(uv_loop_t *loop, size_t pending_max,
                                  const struct vault_link_handlers *handlers, void *user);
/* Closes every end without on_lost; memory goes with the loop's close callbacks. NULL is allowed. */
void vault_link_close(struct vault_link *link);

/* Takes FD, the end of a ready vault, which becomes the current one. ERR_MEMORY, ERR_SYSTEM: FD is closed. */
int vault_link_adopt(struct vault_link *link, int fd) MUST_USE;
/* Gathers REQUEST of ORIGIN as a slot, with a copy of its handshake messages if it has any, for the current
 * vault; *WALL says which end it goes through. ERR_NOT_FOUND when there is no vault, ERR_BUSY when too many
 * wait, ERR_MEMORY.
 */
int vault_link_submit(struct vault_link *link, const struct msg_request *request,
                      const struct slot_origin *origin, uint32_t *wall) MUST_USE;
/* Asks the current vault, if there is one, for the epoch key of the edge with static key EDGE_KEY. */
void vault_link_want_epoch(struct vault_link *link, const uint8_t edge_key[static IDENTITY_KEY_SIZE]);
/* TOKEN, submitted through WALL, is settled: answered or given up. WANTED_NO_MORE tells the vault so. */
void vault_link_settle(struct vault_link *link, uint32_t wall, uint64_t token, bool wanted_no_more);
/* Hands up the answers that have come. Once per turn of the loop, and then vault_link_flush(). */
void vault_link_take(struct vault_link *link);
/* Sends what has gathered and lets go of ends that are done. */
void vault_link_flush(struct vault_link *link);

/* The end of the current vault, as vault_link_submit() gives it; 0 when there is none that has its keys. */
uint32_t vault_link_ready(const struct vault_link *link);
/* Totals over every vault this process has had; the figures of the moment are the current vault's. */
void vault_link_stats(const struct vault_link *link, struct wall_stats *out);
/* Slots from a vault that did not pass their check, and vaults that left none to check. */
uint64_t vault_link_malformed(const struct vault_link *link);

#endif
