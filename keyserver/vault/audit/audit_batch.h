/* The batch: records that wait for the next commit, packed, but without their place in the chain, which is
 * known only once the log is locked. Pure; the I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_BATCH_H
#define KEYSERVER_VAULT_AUDIT_BATCH_H

#include "keyserver/audit/audit_record.h"
#include "keyserver/rules/authorized.h"
#include "keyserver/rules/refusal.h"
#include "keyserver/vault/keys/keystore.h"

/* What is kept of a record beside its body. */
struct audit_entry {
    const struct authorized_edge *edge; /* borrowed; NULL = not known */
    const struct key *key;              /* borrowed; NULL = not known */
    enum audit_result result;
    enum refusal refusal;
    size_t length; /* of its body, which follows */
};

/* Zero-initialised is empty. */
struct audit_batch {
    char *bytes; /* owned; entries, each followed by its body */
    size_t length, size;
    uint64_t lost; /* records for which there was no memory */
};

/* Packs RECORD behind ENTRY, whose length is set here. */
void audit_batch_add(struct audit_batch *batch, struct audit_entry *entry, const struct audit_record *record);
/* Copies the entry at AT out, moves AT on to the next, and gives the body, borrowed; NULL at the end. */
const char *audit_batch_next(const struct audit_batch *batch, size_t *at, struct audit_entry *entry);
/* Empties it; its memory stays. */
void audit_batch_reset(struct audit_batch *batch);
void audit_batch_clear(struct audit_batch *batch);

#endif
