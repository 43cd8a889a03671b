/* The functions of client.h about epochs, and what is done with the epochs that key servers announce. */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "edge/keyclient/client_state.h"

/* ---- choice ---- */

/* True when an epoch may be on its way: from a connected server, or, while none is connected that could rule
 * it out, from any server worth waiting for. */
static bool is_due(const struct client *client)
{
    bool none = client->settings.fail_when_gone && pool_gone(&client->pool);

    for (size_t i = 0; i < client->pool.count; i++) {
        if (client->epochs->server[i].none)
            none = true;
        else if (link_works(&client->pool.links[i]))
            return true;
    }
    return !none;
}

enum client_outlook client_choose_epoch(const struct client *client, struct client_epoch *out)
{
    if (client->closing)
        return EPOCH_NONE;
    const struct epoch *epoch = epochs_choose(client->epochs, clock_ns());
    if (epoch == NULL)
        return is_due(client) ? EPOCH_DUE : EPOCH_NONE;
    out->id = epoch->id;
    memcpy(out->key, epoch->key, sizeof out->key);
    return EPOCH_CHOSEN;
}

/* ---- waiting ---- */

int client_await_epoch(struct client *client, struct client_epoch_wait *wait)
{
    if (client->closing)
        return ERR_CLOSED;
    epoch_waits_put(&client->epoch_waits, wait);
    turn_wake(&client->turn); /* the wait may be over already */
    return 0;
}

void client_cancel_epoch(struct client *client, struct client_epoch_wait *wait)
{
    epoch_waits_remove(&client->epoch_waits, wait);
}

void client_epochs_turn(struct client *client)
{
    if (client->epoch_waits.first != NULL &&
        (epochs_choose(client->epochs, clock_ns()) != NULL || !is_due(client)))
        epoch_waits_end_all(&client->epoch_waits);
}

/* ---- what is said ---- */

/* Logs the conflict once in the life of the daemon, however many threads notice it; the counter goes on. */
static void log_conflict(const struct client *client, size_t server, size_t other,
                         enum epochs_conflict conflict)
{
    static const char *const texts[EPOCHS_CONFLICTS] = {
        [EPOCHS_SECRETS] =
            "about=group_secret hint=\"give both the same group.secret: a session that one has "
            "marked is refused by the other\"",
        [EPOCHS_CLOCKS] =
            "about=clock hint=\"compare the clocks of both, and epoch in the key servers' configurations\"",
    };
    struct client_server_stats *stats = &client->settings.stats[server];
    counter *count = conflict == EPOCHS_SECRETS ? &stats->other_secrets : &stats->other_clocks;

    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) == 0)
        log_event(LOG_WARN, "key_servers_disagree", "server=%s other=%s %s",
                  client->settings.servers[server].name, client->settings.servers[other].name,
                  texts[conflict]);
}

void client_epochs_take(struct client *client, size_t server, const struct msg_epoch *epoch)
{
    uint64_t now = clock_ns();
    size_t other = 0;

    /* An epoch that is announced again means that the key server has judged anew: it has reloaded its policy,
     * or lets the edge have epochs now, or no longer. */
    if (epoch->number == 0 || epoch->number == client->epochs->server[server].kept[0].number)
        inquiries_stir(&client->inquiries, server);
    atomic_store_explicit(&client->settings.stats[server].epoch, epoch->number, memory_order_relaxed);
    epochs_put(client->epochs, server, epoch, now);
    turn_wake(&client->turn); /* a session may wait for it */
    if (epoch->number == 0)
        return;
    enum epochs_conflict conflict = epochs_compare(client->epochs, server, now, &other);
    if (conflict != EPOCHS_AGREE)
        log_conflict(client, server, other, conflict);
}
