/* Of link.h: how well the server answers, and whether others are to be preferred. */
#include "common/clock.h"
#include "common/log.h"
#include "edge/keyclient/link.h"

#define UNABLE_MS 100 /* how long a server is avoided that could do nothing */

void link_measure(struct link *link)
{
    uint64_t rtt_ns = link->current != NULL ? channel_rtt_ns(link->current->channel) : 0;
    if (rtt_ns != 0 && rtt_ns != link->rtt_ns) {
        link->rtt_ns = rtt_ns;
        atomic_store_explicit(&link->setup.stats->rtt_ns, rtt_ns, memory_order_relaxed);
    }
}

bool link_silent(const struct link *link, uint64_t since_ns)
{
    return link->answered_ns < since_ns;
}

void link_set_stalled(struct link *link, uint64_t now_ns)
{
    if (link->stalled || link->current == NULL)
        return;
    link->stalled = true;
    link->probe_ns = now_ns + link->probe_interval_ns;
    log_event(LOG_WARN, "key_server_stalled", "server=%s in_flight=%zu", link_name(link),
              link_in_flight(link));
}

void link_set_unable(struct link *link, uint64_t now_ns)
{
    link->unable_ns = now_ns + UNABLE_MS * NS_PER_MS;
}

bool link_avoided(const struct link *link, uint64_t now_ns)
{
    return link->silent || now_ns < link->unable_ns || (link->stalled && now_ns < link->probe_ns);
}
