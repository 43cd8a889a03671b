/* client_choose_epoch() and client_await_epoch(), and what is done with what key servers say of epochs. */
#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "edge/keyclient/route.h"

/* ---- choice ---- */

/* True when an epoch may be on its way: from a server that is connected, or because nobody is who could say
 * that there is none, if it is worth waiting for somebody. */
static bool is_due(const struct client *client)
{
    bool none = client->settings.fail_when_gone && client_gone(client);

    for (size_t i = 0; i < client->link_count; i++) {
        if (client->epochs->server[i].none)
            none = true;
        else if (link_usable(&client->links[i]) && !client->links[i].stalled && !client->links[i].silent)
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

static struct client_epoch_wait *last_of(struct client_epoch_wait *first)
{
    return first != NULL ? first->prev : NULL; /* as utlist has it */
}

int client_await_epoch(struct client *client, struct client_epoch_wait *wait)
{
    if (client->closing)
        return ERR_CLOSED;
    /* As a rule all wait equally long, and the newest is the last. */
    struct client_epoch_wait *before = last_of(client->epoch_waits);
    while (before != NULL && before->deadline_ns > wait->deadline_ns)
        before = before != client->epoch_waits ? before->prev : NULL;
    DL_APPEND_ELEM(client->epoch_waits, before, wait);
    wait->open = true;
    route_wake(client); /* it may be over already */
    return 0;
}

void client_cancel_epoch(struct client *client, struct client_epoch_wait *wait)
{
    if (!wait->open)
        return;
    DL_DELETE(client->epoch_waits, wait);
    wait->open = false;
}

static void end_first(struct client *client)
{
    struct client_epoch_wait *wait = client->epoch_waits;

    client_cancel_epoch(client, wait);
    wait->on_end(wait);
}

void client_epochs_turn(struct client *client)
{
    struct client_epoch_wait *wait;
    size_t count;

    if (client->epoch_waits == NULL || (epochs_choose(client->epochs, clock_ns()) == NULL && is_due(client)))
        return;
    DL_COUNT(client->epoch_waits, wait, count);
    while (count-- > 0 && client->epoch_waits != NULL) /* what begins meanwhile has its own turn */
        end_first(client);
}

void client_epochs_due(struct client *client, uint64_t now_ns)
{
    while (client->epoch_waits != NULL && client->epoch_waits->deadline_ns <= now_ns)
        end_first(client);
}

uint64_t client_epochs_first_ns(const struct client *client)
{
    return client->epoch_waits != NULL ? client->epoch_waits->deadline_ns : UINT64_MAX;
}

/* ---- what is said ---- */

/* Says it once in the life of the daemon, however many threads notice; the counter goes on. */
static void log_conflict(const struct link *link, const struct link *other, enum epochs_conflict conflict)
{
    static const char *const texts[EPOCHS_CONFLICTS] = {
        [EPOCHS_SECRETS] =
            "about=group_secret hint=\"give both the same group.secret: a session that one has "
            "marked is refused by the other\"",
        [EPOCHS_CLOCKS] =
            "about=clock hint=\"compare the clocks of both, and epoch in the key servers' configurations\"",
    };
    counter *count = conflict == EPOCHS_SECRETS ? &link->setup.stats->other_secrets
                                                : &link->setup.stats->other_clocks;

    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) == 0)
        log_event(LOG_WARN, "key_servers_disagree", "server=%s other=%s %s", link_name(link),
                  link_name(other), texts[conflict]);
}

void client_on_epoch(struct client *client, struct link *link, const struct msg_epoch *epoch)
{
    uint64_t now = clock_ns();
    size_t number = (size_t)(link - client->links), other = 0;

    /* What is said again was weighed again: the key server has read its policy anew, or lets the edge have
     * epochs now, or no longer. */
    if (epoch->number == 0 || epoch->number == client->epochs->server[number].kept[0].number)
        client_grants_stir(client, link);
    atomic_store_explicit(&link->setup.stats->epoch, epoch->number, memory_order_relaxed);
    epochs_put(client->epochs, number, epoch, now);
    route_wake(client); /* somebody may wait for it */
    if (epoch->number == 0)
        return;
    enum epochs_conflict conflict = epochs_compare(client->epochs, number, now, &other);
    if (conflict != EPOCHS_AGREE)
        log_conflict(link, &client->links[other], conflict);
}
