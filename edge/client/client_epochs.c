/* client_choose_epoch(), and what is done with the epochs that key servers announce. */
#include <string.h>

#include "common/clock.h"
#include "edge/client/route.h"

bool client_choose_epoch(const struct client *client, struct client_epoch *out)
{
    const struct epoch *epoch = epochs_choose(client->epochs, clock_ns());

    if (epoch == NULL)
        return false;
    out->id = epoch->id;
    memcpy(out->key, epoch->key, sizeof out->key);
    return true;
}

/* Says it once in the life of the daemon, however many threads notice; the counter goes on. */
static void log_conflict(const struct link *link, const struct link *other, enum epochs_conflict conflict)
{
    static const char *const texts[EPOCHS_CONFLICTS] = {
        [EPOCHS_SECRETS] =
            "about=group_secret mend=\"give both the same group.secret: a session that one has "
            "marked is refused by the other\"",
        [EPOCHS_CLOCKS] = "about=clock mend=\"compare the clocks of both, and epoch in their server.conf\"",
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

    atomic_store_explicit(&link->setup.stats->epoch, epoch->number, memory_order_relaxed);
    if (epoch->number == 0)
        return; /* it has none for this edge */
    epochs_put(client->epochs, number, epoch, now);
    enum epochs_conflict conflict = epochs_compare(client->epochs, number, now, &other);
    if (conflict != EPOCHS_AGREE)
        log_conflict(link, &client->links[other], conflict);
}
