#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION     HASH_FNV
#include "keyserver/net/edge_state.h"

struct edge_state *edge_states_find(struct edge_states *edge_states,
                                    const uint8_t key[static IDENTITY_KEY_SIZE])
{
    struct edge_state *edge_state = NULL;
    HASH_FIND(hh, edge_states->table, key, IDENTITY_KEY_SIZE, edge_state);
    return edge_state;
}

struct edge_state *edge_states_open(struct edge_states *edge_states, const struct authorized_edge *edge)
{
    struct edge_state *edge_state = edge_states_find(edge_states, edge->key);
    if (edge_state != NULL)
        return edge_state;
    edge_state = calloc(1, sizeof *edge_state);
    if (edge_state == NULL)
        return NULL;
    memcpy(edge_state->key, edge->key, sizeof edge_state->key);
    memcpy(edge_state->name, edge->name, sizeof edge_state->name);
    share_init(&edge_state->share);
    HASH_ADD(hh, edge_states->table, key, IDENTITY_KEY_SIZE, edge_state);
    if (edge_state->hh.tbl == NULL) {
        free(edge_state);
        return NULL;
    }
    return edge_state;
}

void edge_states_close(struct edge_states *edge_states, struct edge_state *edge_state)
{
    if (edge_state->channels > 0)
        return;
    HASH_DEL(edge_states->table, edge_state);
    wipe(edge_state, sizeof *edge_state);
    free(edge_state);
}

size_t edge_states_count(const struct edge_states *edge_states)
{
    return HASH_COUNT(edge_states->table);
}
