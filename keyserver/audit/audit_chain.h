/* The hash chain of the audit log: each record's hash covers its own bytes and the hash of the record before,
 *
 *     hash = SHA-256(hash of the record before ‖ the line up to `,"hash"`)
 *
 * so that none can be changed, moved, added or taken away without changing every hash that follows. What it
 * cannot show, an end that is missing and a chain made anew as a whole, is for checkpoints
 * (audit_checkpoint.h). Pure; a hasher belongs to one thread. */
#ifndef KEYSERVER_AUDIT_AUDIT_CHAIN_H
#define KEYSERVER_AUDIT_AUDIT_CHAIN_H

#include "keyserver/audit/audit_record.h"

/* How far a chain has come: its last record. Zero-initialised is the beginning, before the first record. */
struct audit_link {
    uint64_t seq;
    uint8_t hash[AUDIT_HASH_SIZE];
};

/* SHA-256, made ready once: of OpenSSL, which uses the processor's instructions for it. */
struct audit_hasher;

/* NULL without memory. */
struct audit_hasher *audit_hasher_new(void);
void audit_hasher_free(struct audit_hasher *hasher); /* NULL is allowed */

/* SHA-256(PREVIOUS ‖ TEXT) into OUT. ERR_CRYPTO. */
int audit_chain_hash(struct audit_hasher *hasher, const uint8_t previous[static AUDIT_HASH_SIZE],
                     const char *text, size_t length, uint8_t out[static AUDIT_HASH_SIZE]) MUST_USE;
/* Makes a BODY (audit_record_pack()) the record after LINK: writes its line, line end included, to OUT and
 * moves LINK on to it. Returns the length of the line, or ERR_CRYPTO, and LINK stays. */
int audit_chain_seal(struct audit_hasher *hasher, struct audit_link *link, const char *body, size_t length,
                     char out[static AUDIT_LINE_MAX]) MUST_USE;
/* True when LINE, parsed as RECORD, has the hash of a record that follows one with the hash PREVIOUS. */
bool audit_chain_fits(struct audit_hasher *hasher, const uint8_t previous[static AUDIT_HASH_SIZE],
                      const char *line, size_t length, const struct audit_record *record);
/* Closes a line of LENGTH bytes that stands in OUT up to `,"hash"`: as audit_chain_seal(). */
int audit_chain_close(struct audit_hasher *hasher, struct audit_link *link, size_t length,
                      char out[static AUDIT_LINE_MAX]) MUST_USE;

/* The file that begins with record SEQ: "audit-000000000001.jsonl", with more digits where it needs them. */
#define AUDIT_FILE_PREFIX "audit-"
#define AUDIT_FILE_SIZE   28 /* with the final zero */
char *audit_file_name(uint64_t seq, char out[static AUDIT_FILE_SIZE]);
/* The SEQ in such a name, or 0 when it is none. */
uint64_t audit_file_seq(const char *name);

#endif
