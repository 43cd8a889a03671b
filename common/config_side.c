#include "common/config_side.h"

#include <assert.h>
#include <string.h>

static const char *const server_names[] = {"authorized_edges",
                                           "keys",
                                           "group_secret",
                                           "memory",
                                           "workers",
                                           "lanes",
                                           "queue_max",
                                           "in_flight_per_edge",
                                           "epoch",
                                           "deadline_max",
                                           "handshake_timeout",
                                           "idle_timeout",
                                           "drain_timeout",
                                           "half_open_max",
                                           "handshakes_per_second",
                                           "key_default",
                                           "key",
                                           "audit",
                                           NULL};
static const char *const edge_names[] = {"psk",
                                         "certificates",
                                         "default_certificate",
                                         "origin",
                                         "origin_for",
                                         "threads",
                                         "connections_max",
                                         "key_server",
                                         "when_unavailable",
                                         "tls",
                                         "timeouts",
                                         NULL};

static const struct {
    const char *const *names;
    const char *whose, *program, *other;
} sides[] = {
    [CONFIG_SIDE_SERVER] = {server_names, "a key server", "keyless-server", "an edge"},
    [CONFIG_SIDE_EDGE] = {edge_names, "an edge", "keyless-edge", "a key server"},
};

const char *const *config_side_names(enum config_side side)
{
    assert(side == CONFIG_SIDE_SERVER || side == CONFIG_SIDE_EDGE);
    return sides[side].names;
}

static bool has(enum config_side side, const char *name, size_t length)
{
    for (const char *const *own = config_side_names(side); *own != NULL; own++)
        if (strlen(*own) == length && memcmp(*own, name, length) == 0)
            return true;
    return false;
}

enum config_side config_side_find(const struct config_places *places)
{
    size_t server = 0, edge = 0;
    for (size_t i = 0; i < places->count; i++) {
        const struct config_place *place = &places->item[i];
        server += place->depth == 0 && has(CONFIG_SIDE_SERVER, place->name, place->length);
        edge += place->depth == 0 && has(CONFIG_SIDE_EDGE, place->name, place->length);
    }
    if (server == edge)
        return CONFIG_SIDE_UNKNOWN;
    return server > edge ? CONFIG_SIDE_SERVER : CONFIG_SIDE_EDGE;
}

bool config_side_explain(const struct config_places *places, const char *name, struct fault *fault)
{
    enum config_side side = config_side_find(places);
    if (side == CONFIG_SIDE_UNKNOWN || !has(side, name, strlen(name)))
        return false;
    fault_set(fault, 0,
              "this is %s's configuration: only %s has an option '%s'; name that of %s here, and give this "
              "one to %s",
              sides[side].whose, sides[side].whose, name, sides[side].other, sides[side].program);
    return true;
}
