/* The judge: one decision about one request, read top to bottom. Sees no clock; any thread, one at a time. */
#ifndef KEYSERVER_VAULT_JUDGE_H
#define KEYSERVER_VAULT_JUDGE_H

#include "keyserver/vault/claim.h"
#include "keyserver/vault/task.h"

/* What it judges by; everything is borrowed. */
struct judge {
    const struct authorized *edges;
    const struct keystore *keys;
    const uint8_t *epoch_secret; /* 32 bytes; see epoch_secret() */
};

/* When. */
struct moment {
    uint64_t mono_ns; /* of clock_ns() */
    int64_t unix_s;
    uint64_t epoch; /* the current one */
};

struct judgement {
    enum wall_refusal refusal; /* REFUSAL_NONE: granted */
    struct claim claim;        /* edge and key are NULL as long as they are not known */
    struct task task;          /* when granted and the operation is one on a key */
};

/* Judges a slot that passed wall_request_check(). */
void judge_request(const struct judge *judge, const struct wall_request *request, const struct moment *now,
                   struct judgement *out);
/* The operations that EDGE may ask of KEY: bits (1 << enum operation_kind); 0 when the key is not granted. */
uint32_t judge_grants(const struct judge *judge, const struct authorized_edge *edge, const struct key *key);
/* True when EDGE may have an epoch key: it could be granted rsa_master. */
bool judge_grants_epoch(const struct authorized_edge *edge);

#endif
