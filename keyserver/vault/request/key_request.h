/* A key request: what an edge asks of the vault, well formed but not judged yet. Plain data.
 *
 * Whoever makes one owns what it points to, and keeps it until judge, ledger and listing have returned; none
 * of them keeps a pointer. */
#ifndef KEYSERVER_VAULT_REQUEST_KEY_REQUEST_H
#define KEYSERVER_VAULT_REQUEST_KEY_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/channel_name.h"
#include "common/log.h"
#include "proto/operation.h"

struct key_request {
    uint64_t token;          /* the net side's name for it; not 0 */
    uint64_t deadline_ns;    /* of clock_ns() */
    const uint8_t *edge_key; /* borrowed; IDENTITY_KEY_SIZE bytes: the static key of the authenticated edge */
    struct address from;     /* where the edge asks from, without its port */
    struct trace_id trace;
    bool no_trace, no_key_id; /* the edge sent none, which is not the same as zeros */
    uint8_t channel[CHANNEL_NAME_SIZE];
    const struct operation *operation; /* borrowed */
};

#endif
