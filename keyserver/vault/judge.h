/* The judge: one decision about one request, read top to bottom. Pure; any thread. */
#ifndef KEYSERVER_VAULT_JUDGE_H
#define KEYSERVER_VAULT_JUDGE_H

#include "keyserver/authorized.h"
#include "keyserver/vault/keystore.h"
#include "keyserver/wall/wall.h"

struct judgement {
    enum wall_refusal refusal;          /* REFUSAL_NONE: granted */
    const struct authorized_edge *edge; /* borrowed; NULL when not known */
    const struct key *key;              /* borrowed; NULL when not known or not needed */
};

/* Judges a slot that passed wall_request_check(). */
struct judgement judge_request(const struct authorized *edges, const struct keystore *keys,
                               const struct wall_request *request);
/* The operations that EDGE may ask of KEY: bits (1 << enum operation_kind); 0 when the key is not granted. */
uint32_t judge_grants(const struct authorized_edge *edge, const struct key *key);

#endif
