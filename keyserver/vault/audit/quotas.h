/* Quotas and rates across vaults: what was used of them is counted from the audit log, by a vault that begins
 * from what earlier ones have recorded, and by one that serves from what another records meanwhile. So
 * neither a reload nor a death gives an edge a rate's burst anew.
 *
 * Beside what is granted (limits.h, the judge's) it counts what is recorded, because only that may be told in
 * the head of a file: what is granted and still computed is counted from its record, in the file where that
 * comes to stand. The I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_QUOTAS_H
#define KEYSERVER_VAULT_AUDIT_QUOTAS_H

#include "keyserver/vault/audit/audit.h"
#include "keyserver/vault/judge/limits.h"

struct quotas {
    struct limits *granted;    /* borrowed */
    struct limits *recorded;   /* owned */
    struct audit_quotas audit; /* for audit_open(); as long as the log is open */
};

/* GRANTED is over the same edges, keys and policy, which are borrowed, too. ERR_MEMORY. */
int quotas_init(struct quotas *quotas, struct limits *granted, const struct authorized *edges,
                const struct keystore *keys, const struct policy *policy) MUST_USE;
void quotas_clear(struct quotas *quotas);
/* Counts a use that was granted at THEN and is on record now. */
void quotas_note(struct quotas *quotas, const struct claim *claim, const struct moment *then);

#endif
