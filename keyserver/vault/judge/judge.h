/* The judge: one decision about one request, a table of steps read from top to bottom (judge_steps.h). Sees
 * no clock; any thread, one at a time. */
#ifndef KEYSERVER_VAULT_JUDGE_JUDGE_H
#define KEYSERVER_VAULT_JUDGE_JUDGE_H

#include "keyserver/rules/refusal.h"
#include "keyserver/vault/judge/usage.h"
#include "keyserver/vault/request/crypto_input.h"
#include "keyserver/vault/request/key_request.h"
#include "keyserver/vault/request/now.h"
#include "keyserver/vault/request/request_identity.h"

/* What it judges by; everything is borrowed. */
struct judge {
    const struct authorized *edges;
    const struct keystore *keys;
    const struct policy *policy;
    struct usage *usage;         /* counts what is granted */
    const uint8_t *epoch_secret; /* EPOCH_SECRET_SIZE bytes; see epoch_secret() */
    const struct hasher *hasher;
};

struct judgement {
    enum refusal refusal;             /* REFUSAL_NONE: granted */
    struct request_identity identity; /* edge and key are NULL as long as they are not known */
    struct crypto_input input;        /* when granted and the operation is one on a key */
};

/* Judges REQUEST. What is granted on a key is counted against its limits. */
void judge_request(const struct judge *judge, const struct key_request *request, const struct now *now,
                   struct judgement *out);
/* The operations that could be granted to EDGE on KEY, by the same steps, be it elsewhere or at another time:
 * bits (1 << enum operation_kind). It holds as long as the rules do. */
uint32_t judge_grants(const struct judge *judge, const struct authorized_edge *edge, const struct key *key);
/* True when KEY may be used now from FROM, by the same steps. */
bool judge_reaches(const struct judge *judge, const struct key *key, const struct address *from,
                   const struct now *now);
/* True when EDGE may have an epoch key for the sake of KEY: rsa_master could be granted to it there, by the
 * same steps, be it elsewhere or at another time. */
bool judge_grants_epoch(const struct judge *judge, const struct authorized_edge *edge, const struct key *key);
#endif
