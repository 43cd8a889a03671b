/* The counts of quotas and rates that are handed to the next vault (handover.h), for a log that does not tell
 * of them any more. The I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_AUDIT_COUNTS_H
#define KEYSERVER_VAULT_AUDIT_AUDIT_COUNTS_H

#include "keyserver/vault/audit/audit.h"

/* When they are to be left again, of mono_ms: soon after something was recorded, but never so often that it
 * takes more than a fiftieth of the time. UINT64_MAX: nothing was. */
uint64_t audit_counts_due(const struct audit *audit);
/* Leaves them as they stand in the log now. */
void audit_counts_leave(struct audit *audit);

#endif
