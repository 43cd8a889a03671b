/* Taking the audit log over from the vault before, by what that has left (handover.h). Waits, but for the
 * last two functions, which are for the time after the start. */
#ifndef KEYSERVER_VAULT_AUDIT_AUDIT_TAKEOVER_H
#define KEYSERVER_VAULT_AUDIT_AUDIT_TAKEOVER_H

#include "keyserver/vault/audit/audit_log.h"

/* While the vault before serves, and can write, its folder PATH is somewhere: waits for it, for as long as
 * that vault may need to see that it cannot. ERR_CONFIG. */
int audit_takeover_await_folder(struct handover *handover, const char *path, struct fault *fault) MUST_USE;
/* Takes what the vault before has left by now: its last record is one that the log must have. */
void audit_takeover_look(struct audit_log *log);
/* True when the log that was found lacks that record. */
bool audit_takeover_is_behind(const struct audit_log *log);
/* The same, after which the vault before may still go on in another file: waits a moment. False when that has
 * been waited for LOOKS times, or is no use. */
bool audit_takeover_waits(const struct audit_log *log, unsigned looks);
/* Decides about a log that is behind: ERR_CONFIG when the vault before is to serve on. Otherwise the quotas
 * are counted from what that has left, where the log does not tell. */
int audit_takeover_finish(struct audit_log *log, struct fault *fault) MUST_USE;

/* When the vault before may have used more, which this log does not tell, of mono_ms; UINT64_MAX: it is done.
 */
uint64_t audit_takeover_due(const struct audit_log *log);
/* Counts some of that, if it is due at MONO_MS: while the vault before still serves it writes to another log.
 */
void audit_takeover_go_on(struct audit_log *log, uint64_t mono_ms);

/* Counts the rest of it, because this vault ends. */
void audit_takeover_end(struct audit_log *log, uint64_t mono_ms);

#endif
