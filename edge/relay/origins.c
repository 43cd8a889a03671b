#include "edge/relay/origins.h"

#include <string.h>

#define HTTP_1_1 "http/1.1"
#define HTTP_1_0 "http/1.0"

static int add_route(struct origins *origins, const char *protocol, const char *address, struct names *names,
                     struct fault *fault)
{
    struct origin_route *route = &origins->route[origins->count];

    route->protocol = protocol;
    route->number = origins->count++;
    return names_add(names, &route->endpoint, address, 0, fault);
}

int origins_load(struct origins *out, const struct edge_config *config, struct names *names,
                 struct fault *fault)
{
    const struct edge_config_origin *of = config->origins.item;
    int err;

    *out = (struct origins){0};
    if (config->origins.count >= ORIGINS_MAX)
        return fault_set(fault, ERR_CONFIG, "%zu sections origin_for; there may be %d", config->origins.count,
                         ORIGINS_MAX - 1);
    err = add_route(out, "default", config->origin, names, fault);
    for (size_t i = 0; err == 0 && i < config->origins.count; i++)
        err = add_route(out, of[i].title, of[i].address, names, fault);
    return err;
}

static const struct origin_route *find_route(const struct origins *origins, const void *protocol,
                                             size_t length)
{
    for (size_t i = 1; i < origins->count; i++) {
        const struct origin_route *route = &origins->route[i];
        if (strlen(route->protocol) == length && memcmp(route->protocol, protocol, length) == 0)
            return route;
    }
    return NULL;
}

const struct origin_route *origins_find(const struct origins *origins, const uint8_t *protocol, size_t length)
{
    const struct origin_route *route = length == 0 ? NULL : find_route(origins, protocol, length);

    if (route == NULL && length == strlen(HTTP_1_0) && memcmp(protocol, HTTP_1_0, length) == 0)
        route = find_route(origins, HTTP_1_1, strlen(HTTP_1_1));
    return route != NULL ? route : &origins->route[0];
}
