#include "keyserver/net/service_inside.h"

struct net_counters *service_counters(struct service *service)
{
    return &service->counters;
}

uint64_t service_vault_heard_ms(const struct service *service)
{
    return service->heard_ms;
}

const struct vault_link *service_link(const struct service *service)
{
    return service->link;
}

const struct accounts *service_accounts(const struct service *service)
{
    return &service->crowd.accounts;
}

const struct peer *service_peers(const struct service *service)
{
    return service->crowd.peers;
}

size_t service_open(const struct service *service)
{
    return requests_count(service->requests);
}
