/* What the files behind audit.h share. */
#ifndef KEYSERVER_VAULT_AUDIT_INTERNAL_H
#define KEYSERVER_VAULT_AUDIT_INTERNAL_H

#include "keyserver/vault/audit/audit.h"
#include "keyserver/vault/audit/audit_batch.h"
#include "keyserver/vault/audit/audit_log.h"
#include "keyserver/vault/audit/audit_tally.h"

struct audit {
    const struct server_audit *config; /* borrowed */
    int folder;                        /* owned */
    int lock;                          /* owned; keeps the folder for this key server; -1: it does not */
    struct sign_key *key;              /* owned */
    struct audit_log log;
    struct audit_time now;
    uint64_t count_due_ms; /* of mono_ms: when counts may be left again (audit_counts.h) */
    bool counts_lost;      /* some of them could not be left */

    /* Once it is started. */
    const struct authorized *edges; /* borrowed; NULL = not started */
    struct audit_sync *sync;        /* owned */
    struct audit_batch batch;
    struct audit_tally tally;
    unsigned *edge_told, *key_told; /* owned; by index: the log's generation in which it was explained */
    struct audit_record start;      /* type 0 = it is recorded */
    uint64_t due_ms, checkpoint_ms; /* of mono_ms: the next tick, the last checkpoint */
    uint64_t synced_seq;            /* the last record that the disk was asked to keep */
    uint64_t epoch_asked_ms;        /* the time of epochs that it was asked to keep */
    uint64_t announced_seq, announced_ms;

    bool failing;
    struct audit_record gap;      /* what could not be recorded since then */
    uint64_t complained_ms;       /* of mono_ms */
    struct audit_figures figures; /* of which the numbers of uses are kept */
};

/* Nothing can be recorded, for the reason WHY, an errno: says so, though not every time. */
void audit_note_failure(struct audit *audit, int why);

#endif
