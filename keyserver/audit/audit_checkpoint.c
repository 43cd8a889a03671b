#include "keyserver/audit/audit_checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"

#define LABEL_RECORD   "keyless audit checkpoint"
#define LABEL_HEAD     "keyless audit head"
#define MESSAGE_MAX    (sizeof LABEL_RECORD + 16 + AUDIT_HASH_SIZE)
#define SIGNATURE_TEXT (4 * ((SIGN_SIZE + 2) / 3))
#define SIGNATURE_HEAD ",\"signature\":\""
/* From `,"signature"` to the end of a line. */
#define SIGNED_TAIL (sizeof SIGNATURE_HEAD - 1 + SIGNATURE_TEXT + 1 + AUDIT_TAIL_SIZE)

_Static_assert(AUDIT_SIGNATURE_SIZE == SIGN_SIZE && AUDIT_KEY_SIZE == SIGN_PUBLIC_SIZE,
               "records hold what is signed");

static size_t write_message(uint8_t out[static MESSAGE_MAX], const char *label, uint64_t seq,
                            uint64_t epoch_ms, const uint8_t hash[static AUDIT_HASH_SIZE])
{
    struct writer w;
    writer_init(&w, out, MESSAGE_MAX);
    writer_bytes(&w, label, strlen(label));
    writer_u64(&w, seq);
    writer_u64(&w, epoch_ms);
    writer_bytes(&w, hash, AUDIT_HASH_SIZE);
    return writer_length(&w);
}

/* ---- records ---- */

int audit_checkpoint_seal(struct audit_hasher *hasher, struct audit_link *link,
                          const struct audit_record *record, const struct sign_key *key,
                          char out[static AUDIT_LINE_MAX])
{
    char body[AUDIT_BODY_MAX], text[SIGNATURE_TEXT + 1];
    uint8_t hash[AUDIT_HASH_SIZE], message[MESSAGE_MAX], signature[SIGN_SIZE];
    struct audit_record checkpoint = {
        .type = AUDIT_CHECKPOINT, .time_ms = record->time_ms, .epoch_ms = record->epoch_ms};
    size_t length = audit_record_pack_seq(out, link->seq + 1);
    /* The signature that is packed here is replaced: it is over what stands before it. */
    size_t body_length = audit_record_pack(&checkpoint, body);
    memcpy(out + length, body, body_length);
    length += body_length;
    size_t before = length - (SIGNED_TAIL - AUDIT_TAIL_SIZE);
    int err = audit_chain_hash(hasher, link->hash, out, before, hash);
    if (err != 0)
        return err;
    sign_message(signature, key, message,
                 write_message(message, LABEL_RECORD, link->seq + 1, checkpoint.epoch_ms, hash));
    base64_encode(text, signature, sizeof signature);
    memcpy(out + before + sizeof SIGNATURE_HEAD - 1, text, SIGNATURE_TEXT);
    return audit_chain_close(hasher, link, length, out);
}

bool audit_checkpoint_verify(struct audit_hasher *hasher, const uint8_t previous[static AUDIT_HASH_SIZE],
                             const char *line, size_t length, const struct audit_record *record,
                             const uint8_t public[static SIGN_PUBLIC_SIZE])
{
    uint8_t hash[AUDIT_HASH_SIZE], message[MESSAGE_MAX];
    if (length <= SIGNED_TAIL || audit_chain_hash(hasher, previous, line, length - SIGNED_TAIL, hash) != 0)
        return false;
    return sign_verify(record->signature, public, message,
                       write_message(message, LABEL_RECORD, record->seq, record->epoch_ms, hash));
}

/* ---- the head ---- */

void audit_head_sign(struct audit_head *head, const struct sign_key *key)
{
    uint8_t message[MESSAGE_MAX];
    sign_message(head->signature, key, message,
                 write_message(message, LABEL_HEAD, head->link.seq, head->epoch_ms, head->link.hash));
}

bool audit_head_verify(const struct audit_head *head, const uint8_t public[static SIGN_PUBLIC_SIZE])
{
    uint8_t message[MESSAGE_MAX];
    return sign_verify(head->signature, public, message,
                       write_message(message, LABEL_HEAD, head->link.seq, head->epoch_ms, head->link.hash));
}

void audit_head_pack(const struct audit_head *head, char out[static AUDIT_HEAD_SIZE])
{
    char hash[2 * AUDIT_HASH_SIZE + 1], signature[SIGNATURE_TEXT + 1], text[AUDIT_HEAD_SIZE];
    int length = snprintf(text, sizeof text,
                          "{\"seq\":%" PRIu64 ",\"hash\":\"%s\",\"epoch_ms\":%" PRIu64 SIGNATURE_HEAD "%s\"}",
                          head->link.seq, hex_encode(hash, head->link.hash, sizeof head->link.hash),
                          head->epoch_ms, base64_encode(signature, head->signature, SIGN_SIZE));
    memset(out, ' ', AUDIT_HEAD_SIZE);
    memcpy(out, text, (size_t)length);
    out[AUDIT_HEAD_SIZE - 1] = '\n';
}

int audit_head_parse(struct audit_head *out, const char *text, size_t length)
{
    char copy[AUDIT_HEAD_SIZE + 1] = "", again[AUDIT_HEAD_SIZE], hash[2 * AUDIT_HASH_SIZE + 1] = "",
                                signature[SIGNATURE_TEXT + 1] = "";
    if (length != AUDIT_HEAD_SIZE)
        return ERR_FORMAT;
    memcpy(copy, text, length);
    memset(out, 0, sizeof *out);
    if (sscanf(copy,
               "{\"seq\":%20" SCNu64 ",\"hash\":\"%64[0-9a-f]\",\"epoch_ms\":%20" SCNu64 SIGNATURE_HEAD
               "%88[A-Za-z0-9+/=]\"}",
               &out->link.seq, hash, &out->epoch_ms, signature) != 4 ||
        hex_decode(out->link.hash, sizeof out->link.hash, hash) != 0 ||
        base64_decode(out->signature, sizeof out->signature, signature) != 0)
        return ERR_FORMAT;
    audit_head_pack(out, again);
    return memcmp(again, text, length) == 0 ? 0 : ERR_FORMAT;
}
