#include "keyserver/net/slot.h"

#include <string.h>

static void put_address(struct wall_request *slot, const struct address *from)
{
    if (from->u.any.sa_family == AF_INET) {
        slot->from_family = AF_INET;
        memcpy(slot->from, &from->u.v4.sin_addr, sizeof from->u.v4.sin_addr);
    } else if (from->u.any.sa_family == AF_INET6) {
        const struct in6_addr *a = &from->u.v6.sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(a);
        slot->from_family = mapped ? AF_INET : AF_INET6;
        memcpy(slot->from, a->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
    }
}

void slot_fill(struct wall_request *slot, const struct msg_request *request, const struct slot_origin *origin)
{
    memset(slot, 0, sizeof *slot); /* no byte of this process's stack goes along */
    slot->token = origin->token;
    slot->deadline_ns = origin->deadline_ns;
    slot->trace = request->trace;
    slot->no_trace = request->no_trace;
    slot->no_key_id = request->no_key_id;
    slot->kind = WALL_OPERATION;
    slot->operation = request->operation;
    memcpy(slot->edge_key, origin->edge_key, sizeof slot->edge_key);
    memcpy(slot->channel, origin->channel_hash, sizeof slot->channel);
    put_address(slot, origin->from);
}
