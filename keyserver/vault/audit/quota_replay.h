/* Quotas and rates across vaults: what was used of them is counted from the audit log, by a vault that begins
 * from what earlier ones have recorded, and by one that serves from what another records meanwhile. So
 * neither a reload nor a death gives an edge a rate's burst anew.
 *
 * Beside what is granted (usage.h, the judge's) it counts what is recorded, because only that may be told in
 * the head of a file: what is granted and still computed is counted from its record, in the file where that
 * comes to stand. The I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_QUOTA_REPLAY_H
#define KEYSERVER_VAULT_AUDIT_QUOTA_REPLAY_H

#include "keyserver/vault/audit/audit.h"
#include "keyserver/vault/judge/usage.h"

struct quota_replay {
    struct usage *granted;     /* borrowed */
    struct usage *recorded;    /* owned */
    struct audit_quotas audit; /* for audit_open(); as long as the log is open */
};

/* GRANTED is over the same edges, keys and policy, which are borrowed, too. ERR_MEMORY. */
int quota_replay_init(struct quota_replay *quotas, struct usage *granted, const struct authorized *edges,
                      const struct keystore *keys, const struct policy *policy) MUST_USE;
void quota_replay_clear(struct quota_replay *quotas);
/* Counts a use that was granted at THEN and is on record now. */
void quota_replay_note(struct quota_replay *quotas, const struct request_identity *identity,
                       const struct now *then);

#endif
