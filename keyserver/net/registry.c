#include "keyserver/net/registry.h"

#include <string.h>

#include "common/clock.h"
#include "common/secret.h"

/* ---- coming and going ---- */

struct edge_state *registry_admit(struct registry *registry, const struct authorized_edge *edge)
{
    struct edge_state *edge_state = edge_states_open(&registry->edge_states, edge);

    if (edge_state == NULL || edge_state->channels < REGISTRY_CHANNELS_MAX)
        return edge_state;
    log_event(LOG_WARN, "edge_channels", "edge=%s channels=%zu hint=\"does another edge use its identity?\"",
              edge->name, edge_state->channels);
    return NULL;
}

void registry_turn_away(struct registry *registry, struct edge_state *edge_state)
{
    edge_states_close(&registry->edge_states, edge_state);
}

void registry_enter(struct registry *registry, struct peer *peer)
{
    struct edge_state *edge_state = peer->edge_state;

    peer->edge_next = edge_state->peers;
    edge_state->peers = peer;
    edge_state->channels++;
    peer->all_next = registry->peers;
    if (registry->peers != NULL)
        registry->peers->all_prev = peer;
    registry->peers = peer;
}

void registry_leave(struct registry *registry, struct peer *peer)
{
    struct edge_state *edge_state = peer->edge_state;
    struct peer **at = &edge_state->peers;

    while (*at != peer)
        at = &(*at)->edge_next;
    *at = peer->edge_next;
    if (peer->all_prev != NULL)
        peer->all_prev->all_next = peer->all_next;
    else
        registry->peers = peer->all_next;
    if (peer->all_next != NULL)
        peer->all_next->all_prev = peer->all_prev;
    edge_state->channels--;
    edge_state->unsent -= peer->unsent;
    edge_states_close(&registry->edge_states, edge_state);
}

/* ---- limits ---- */

static void note_unsent(struct peer *peer)
{
    size_t unsent = channel_unsent(peer->channel);

    peer->edge_state->unsent += unsent - peer->unsent;
    peer->unsent = unsent;
}

size_t registry_unsent(struct edge_state *edge_state)
{
    for (struct peer *each = edge_state->peers; each != NULL; each = each->edge_next)
        note_unsent(each);
    return edge_state->unsent;
}

struct peer *registry_find_slowest(struct registry *registry, struct peer *peer)
{
    struct edge_state *edge_state = peer->edge_state;
    struct peer *slowest = NULL;

    note_unsent(peer);
    if (edge_state->unsent <= registry->unsent_max)
        return NULL;
    for (struct peer *each = edge_state->peers; each != NULL; each = each->edge_next) {
        note_unsent(each); /* some of it may have been read since it was last looked at */
        if (!each->closing && (slowest == NULL || each->unsent > slowest->unsent))
            slowest = each;
    }
    return edge_state->unsent > registry->unsent_max ? slowest : NULL;
}

const char *registry_revoked(const struct peer *peer, const struct authorized *edges,
                             const struct authorized *before)
{
    static const char *const words[] = {[AUTHORIZED_CHANGE_NONE] = NULL,
                                        [AUTHORIZED_CHANGE_GONE] = "revoked",
                                        [AUTHORIZED_CHANGE_PSK] = "psk_changed",
                                        [AUTHORIZED_CHANGE_FROM] = "from_changed"};

    return words[authorized_change_of(edges, before, peer->edge_state->key, channel_address(peer->channel))];
}

/* ---- epochs ---- */

static void tell_epoch(struct peer *peer, uint64_t now)
{
    const struct edge_state *edge_state = peer->edge_state;
    struct msg_epoch epoch = edge_state->epoch;

    if (epoch.number != 0 && now >= edge_state->epoch_until_ns)
        return;
    if (epoch.number != 0)
        epoch.left_ms = (uint32_t)((edge_state->epoch_until_ns - now) / NS_PER_MS);
    peer_send_epoch(peer, &epoch);
    wipe(&epoch, sizeof epoch);
}

void registry_greet(struct registry *registry, struct peer *peer)
{
    if (registry->epoch != 0 && peer->edge_state->epoch_asked == registry->epoch)
        tell_epoch(peer, clock_ns());
    else
        vault_link_want_epoch(registry->link, peer->edge_state->key);
}

void registry_begin_epoch(struct registry *registry, uint64_t number)
{
    if (number == registry->epoch)
        return;
    registry->epoch = number;
    if (number == 0)
        return; /* what the edges have stays good for its time */
    for (struct edge_state *edge_state = registry->edge_states.table; edge_state != NULL;
         edge_state = edge_state->hh.next)
        vault_link_want_epoch(registry->link, edge_state->key);
}

/* Notes it; true when the edge's channels do not know it yet. */
static bool take_epoch(struct edge_state *edge_state, const struct wall_answer *answer, uint64_t asked,
                       uint64_t now)
{
    bool told = edge_state->epoch_asked != 0 && edge_state->epoch.number == 0 && answer->u.epoch.number == 0;

    edge_state->epoch_asked = asked;
    edge_state->epoch.number = answer->u.epoch.number;
    memcpy(edge_state->epoch.key, answer->u.epoch.key, sizeof edge_state->epoch.key);
    edge_state->epoch_until_ns = now + (uint64_t)answer->u.epoch.left_ms * NS_PER_MS;
    return !told;
}

void registry_give_epoch(struct registry *registry, const struct wall_answer *answer)
{
    struct edge_state *edge_state = edge_states_find(&registry->edge_states, answer->u.epoch.edge_key);
    uint64_t now = clock_ns();

    if (edge_state == NULL || !take_epoch(edge_state, answer, registry->epoch, now))
        return; /* it has left, or goes on to have none */
    for (struct peer *peer = edge_state->peers; peer != NULL; peer = peer->edge_next) {
        if (peer->greeted)
            tell_epoch(peer, now);
    }
}
