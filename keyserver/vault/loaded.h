/* What a vault judges and computes with: the list of edges, the keys, the policy, and what follows from the
 * group secret. Made from files once and then only read; several vaults may be forked from a process that
 * holds it. */
#ifndef KEYSERVER_VAULT_LOADED_H
#define KEYSERVER_VAULT_LOADED_H

#include "keyserver/rules/authorized.h"
#include "keyserver/rules/policy.h"
#include "keyserver/vault/group_secret.h"
#include "keyserver/vault/judge/rules_digest.h"
#include "keyserver/vault/keys/keystore.h"

struct loaded {
    const struct keystore_progress *progress; /* borrowed, while it is made; NULL = nobody asks */
    const struct server_config *config;       /* borrowed */
    struct authorized *edges;                 /* owned; without their pre-shared keys */
    struct keystore *keys;                    /* owned */
    struct policy *policy;                    /* owned */
    uint8_t *epoch_secret;                    /* owned; EPOCH_SECRET_SIZE bytes of guarded memory */
    uint8_t rules[RULES_DIGEST_SIZE];
};

/* Once in a process, before anything is loaded. NAME becomes the process's. */
int loaded_begin(const char *name, struct fault *fault) MUST_USE;
/* Fills the zeroed OUT by CONFIG, which stays as long as OUT does, and by the snapshot EDGES_FD of
 * authorized_edges. What did not change since BEFORE (or NULL) is shared with it, and a key file that became
 * bad since then fails it (keystore_load()). On failure OUT is cleared. */
int loaded_make(struct loaded *out, const struct server_config *config, int edges_fd,
                const struct loaded *before, enum group_secret_use use, struct fault *fault) MUST_USE;
/* From here on the process computes as LOADED says, after it did as BEFORE (or NULL) says. */
void loaded_use_lanes(const struct loaded *loaded, const struct loaded *before);
void loaded_clear(struct loaded *loaded);

#endif
