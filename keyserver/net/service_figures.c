#include "common/clock.h"
#include "keyserver/net/service_inside.h"

struct net_counters *service_counters(struct service *service)
{
    return &service->counters;
}

uint64_t service_vault_silent_ms(const struct service *service)
{
    uint64_t now = clock_ms();
    return now > service->heard_ms ? now - service->heard_ms : 0;
}

bool service_vault_serves(const struct service *service)
{
    return vault_link_ready(service->link) != 0 &&
           service_vault_silent_ms(service) <= SERVICE_VAULT_SILENT_MS;
}

const struct vault_link *service_link(const struct service *service)
{
    return service->link;
}

const struct edge_states *service_edge_states(const struct service *service)
{
    return &service->registry.edge_states;
}

const struct peer *service_peers(const struct service *service)
{
    return service->registry.peers;
}

size_t service_open(const struct service *service)
{
    return requests_count(service->requests);
}
