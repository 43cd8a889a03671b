/* The counts of quotas and rates that are handed to the next vault (handover.h), for a log that does not tell
 * of them any more. Only those that changed are left, and a bounded number at a time. The I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_AUDIT_COUNTS_H
#define KEYSERVER_VAULT_AUDIT_AUDIT_COUNTS_H

#include "keyserver/vault/audit/audit.h"

/* When some are to be left, of mono_ms: at once if that was not done a moment ago. UINT64_MAX: all that
 * changed were left. */
uint64_t audit_counts_due(const struct audit *audit);
/* Leaves some of them if that is due, those first that wait longest. */
void audit_counts_leave(struct audit *audit);
/* Leaves all of them, however long that takes: at the start and at the end. */
void audit_counts_leave_all(struct audit *audit);

#endif
