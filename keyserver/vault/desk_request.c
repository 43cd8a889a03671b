#include "keyserver/vault/desk_request.h"

#include <string.h>

/* OUT is zeroed. */
static void put_address(struct address *out, const struct wall_request *slot)
{
    if (slot->from_family == AF_INET) {
        out->u.v4.sin_family = AF_INET;
        memcpy(&out->u.v4.sin_addr, slot->from, sizeof out->u.v4.sin_addr);
        out->length = sizeof out->u.v4;
    } else if (slot->from_family == AF_INET6) {
        out->u.v6.sin6_family = AF_INET6;
        memcpy(&out->u.v6.sin6_addr, slot->from, sizeof out->u.v6.sin6_addr);
        out->length = sizeof out->u.v6;
    } else {
        out->u.local.sun_family = AF_UNIX;
        out->length = sizeof(sa_family_t);
    }
}

void desk_request_make(struct key_request *out, const struct wall_request *slot)
{
    *out = (struct key_request){.token = slot->token,
                                .deadline_ns = slot->deadline_ns,
                                .edge_key = slot->edge_key,
                                .trace = slot->trace,
                                .no_trace = slot->no_trace != 0,
                                .no_key_id = slot->no_key_id != 0,
                                .operation = &slot->operation};
    memcpy(out->channel, slot->channel, sizeof out->channel);
    put_address(&out->from, slot);
}
