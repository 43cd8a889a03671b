#include "keyserver/net/crowd.h"

#include <string.h>

#include "common/clock.h"
#include "common/secret.h"

#define NS_PER_MS 1000000u

/* ---- coming and going ---- */

struct account *crowd_admit(struct crowd *crowd, const struct authorized_edge *edge)
{
    struct account *account = accounts_open(&crowd->accounts, edge);

    if (account == NULL || account->channels < CROWD_CHANNELS_MAX)
        return account;
    log_event(LOG_WARN, "edge_channels", "edge=%s channels=%zu hint=\"does another edge use its identity?\"",
              edge->name, account->channels);
    return NULL;
}

void crowd_turn_away(struct crowd *crowd, struct account *account)
{
    accounts_close(&crowd->accounts, account);
}

void crowd_enter(struct crowd *crowd, struct peer *peer)
{
    struct account *account = peer->account;

    peer->beside = account->peers;
    account->peers = peer;
    account->channels++;
    peer->after = crowd->peers;
    if (crowd->peers != NULL)
        crowd->peers->before = peer;
    crowd->peers = peer;
}

void crowd_leave(struct crowd *crowd, struct peer *peer)
{
    struct account *account = peer->account;
    struct peer **at = &account->peers;

    while (*at != peer)
        at = &(*at)->beside;
    *at = peer->beside;
    if (peer->before != NULL)
        peer->before->after = peer->after;
    else
        crowd->peers = peer->after;
    if (peer->after != NULL)
        peer->after->before = peer->before;
    account->channels--;
    account->unsent -= peer->unsent;
    accounts_close(&crowd->accounts, account);
}

/* ---- limits ---- */

static void note_unsent(struct peer *peer)
{
    size_t unsent = channel_unsent(peer->channel);

    peer->account->unsent += unsent - peer->unsent;
    peer->unsent = unsent;
}

size_t crowd_unsent(struct account *account)
{
    for (struct peer *each = account->peers; each != NULL; each = each->beside)
        note_unsent(each);
    return account->unsent;
}

struct peer *crowd_find_slowest(struct crowd *crowd, struct peer *peer)
{
    struct account *account = peer->account;
    struct peer *slowest = NULL;

    note_unsent(peer);
    if (account->unsent <= crowd->unsent_max)
        return NULL;
    for (struct peer *each = account->peers; each != NULL; each = each->beside) {
        note_unsent(each); /* some of it may have been read since it was last looked at */
        if (!each->closing && (slowest == NULL || each->unsent > slowest->unsent))
            slowest = each;
    }
    return account->unsent > crowd->unsent_max ? slowest : NULL;
}

const char *crowd_revoked(const struct peer *peer, const struct authorized *edges,
                          const struct authorized *before)
{
    const struct authorized_edge *edge = authorized_find(edges, peer->account->key),
                                 *was = authorized_find(before, peer->account->key);

    if (edge == NULL)
        return "revoked";
    if (was == NULL || !same_bytes(edge->psk, was->psk, sizeof edge->psk))
        return "psk_changed";
    return authorized_from(edge, channel_address(peer->channel)) ? NULL : "from_changed";
}

/* ---- epochs ---- */

static void tell_epoch(struct peer *peer, uint64_t now)
{
    const struct account *account = peer->account;
    struct msg_epoch epoch = account->epoch;

    if (epoch.number != 0 && now >= account->epoch_until_ns)
        return;
    if (epoch.number != 0)
        epoch.left_ms = (uint32_t)((account->epoch_until_ns - now) / NS_PER_MS);
    peer_send_epoch(peer, &epoch);
    wipe(&epoch, sizeof epoch);
}

void crowd_greet(struct crowd *crowd, struct peer *peer)
{
    if (crowd->epoch != 0 && peer->account->epoch_asked == crowd->epoch)
        tell_epoch(peer, clock_ns());
    else
        vault_link_want_epoch(crowd->link, peer->account->key);
}

void crowd_begin_epoch(struct crowd *crowd, uint64_t number)
{
    if (number == crowd->epoch)
        return;
    crowd->epoch = number;
    if (number == 0)
        return; /* what the edges have stays good for its time */
    for (struct account *account = crowd->accounts.table; account != NULL; account = account->hh.next)
        vault_link_want_epoch(crowd->link, account->key);
}

/* Notes it; true when the edge's channels do not know it yet. */
static bool take_epoch(struct account *account, const struct wall_answer *answer, uint64_t asked,
                       uint64_t now)
{
    bool told = account->epoch_asked != 0 && account->epoch.number == 0 && answer->u.epoch.number == 0;

    account->epoch_asked = asked;
    account->epoch.number = answer->u.epoch.number;
    memcpy(account->epoch.key, answer->u.epoch.key, sizeof account->epoch.key);
    account->epoch_until_ns = now + (uint64_t)answer->u.epoch.left_ms * NS_PER_MS;
    return !told;
}

void crowd_give_epoch(struct crowd *crowd, const struct wall_answer *answer)
{
    struct account *account = accounts_find(&crowd->accounts, answer->u.epoch.edge_key);
    uint64_t now = clock_ns();

    if (account == NULL || !take_epoch(account, answer, crowd->epoch, now))
        return; /* it has left, or goes on to have none */
    for (struct peer *peer = account->peers; peer != NULL; peer = peer->beside) {
        if (peer->greeted)
            tell_epoch(peer, now);
    }
}
