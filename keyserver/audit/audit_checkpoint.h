/* Checkpoints: records that sign everything before them and themselves, and the note of the last one that is
 * kept in the file `head`.
 *
 * The signature of a checkpoint is over "keyless audit checkpoint" ‖ seq ‖ epoch_ms ‖ SHA-256(hash of the
 * record before ‖ the line up to `,"signature"`), numbers as 8 bytes. That of a head is over "keyless audit
 * head" ‖ seq ‖ epoch_ms ‖ hash of the checkpoint. Pure; any thread. */
#ifndef KEYSERVER_AUDIT_AUDIT_CHECKPOINT_H
#define KEYSERVER_AUDIT_AUDIT_CHECKPOINT_H

#include "common/sign.h"
#include "keyserver/audit/audit_chain.h"

/* Seals RECORD, of which time_ms and epoch_ms are used, as a checkpoint signed by KEY: as
 * audit_chain_seal(). */
int audit_checkpoint_seal(struct audit_hasher *hasher, struct audit_link *link,
                          const struct audit_record *record, const struct sign_key *key,
                          char out[static AUDIT_LINE_MAX]) MUST_USE;
/* True when LINE, parsed as RECORD, a checkpoint, which follows a record with the hash PREVIOUS, is signed by
 * PUBLIC. */
bool audit_checkpoint_verify(struct audit_hasher *hasher, const uint8_t previous[static AUDIT_HASH_SIZE],
                             const char *line, size_t length, const struct audit_record *record,
                             const uint8_t public[static SIGN_PUBLIC_SIZE]);

#define AUDIT_HEAD_FILE "head"
#define AUDIT_HEAD_SIZE 320 /* of its text, always: one line of JSON, filled up with spaces */

/* The last checkpoint, as the file `head` has it. */
struct audit_head {
    struct audit_link link;
    uint64_t epoch_ms;
    uint8_t signature[SIGN_SIZE];
};

void audit_head_sign(struct audit_head *head, const struct sign_key *key);
bool audit_head_verify(const struct audit_head *head, const uint8_t public[static SIGN_PUBLIC_SIZE]);
void audit_head_pack(const struct audit_head *head, char out[static AUDIT_HEAD_SIZE]);
/* ERR_FORMAT for everything that audit_head_pack() does not write. */
int audit_head_parse(struct audit_head *out, const char *text, size_t length) MUST_USE;

#endif
