/* The ledger: what became of every request for a key, told to the key's owner before the edge is: the record
 * in the audit log, the line of the access log, the count of quotas.
 *
 * Decides nothing, answers nobody. The I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_LEDGER_H
#define KEYSERVER_VAULT_AUDIT_LEDGER_H

#include "common/bytes.h"
#include "keyserver/rules/refusal.h"
#include "keyserver/vault/audit/audit.h"
#include "keyserver/vault/audit/quota_replay.h"

struct ledger {
    struct audit *audit;         /* borrowed */
    struct quota_replay *quotas; /* borrowed */
    bool access_log;
    struct buffer entries; /* of uses that are not settled yet */
};

/* Learns what other vaults have put on record: before requests are judged, so that it counts. */
void ledger_read_on(struct ledger *ledger);
/* False while uses cannot be recorded: then none should be granted. */
bool ledger_is_open(const struct ledger *ledger);
/* A granted request ended with RESULT at NOW. */
void ledger_add(struct ledger *ledger, const struct request_identity *identity, enum audit_result result,
                const struct now *now);
/* REQUEST was refused. Of IDENTITY, edge and key may be NULL. */
void ledger_add_refusal(struct ledger *ledger, const struct key_request *request,
                        const struct request_identity *identity, enum refusal refusal);
/* Puts on record what was added since the last time. When it fails, no answer to any of it may leave. */
int ledger_settle(struct ledger *ledger) MUST_USE;
void ledger_clear(struct ledger *ledger);

#endif
