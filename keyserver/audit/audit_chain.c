#include "keyserver/audit/audit_chain.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct audit_hasher {
    EVP_MD *algorithm;   /* owned */
    EVP_MD_CTX *context; /* owned; begun anew for each hash */
};

struct audit_hasher *audit_hasher_new(void)
{
    struct audit_hasher *hasher = calloc(1, sizeof *hasher);
    if (hasher == NULL)
        return NULL;
    hasher->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    hasher->context = EVP_MD_CTX_new();
    if (hasher->algorithm == NULL || hasher->context == NULL ||
        EVP_DigestInit_ex(hasher->context, hasher->algorithm, NULL) != 1) {
        audit_hasher_free(hasher);
        return NULL;
    }
    return hasher;
}

void audit_hasher_free(struct audit_hasher *hasher)
{
    if (hasher == NULL)
        return;
    EVP_MD_CTX_free(hasher->context);
    EVP_MD_free(hasher->algorithm);
    free(hasher);
}

int audit_chain_hash(struct audit_hasher *hasher, const uint8_t previous[static AUDIT_HASH_SIZE],
                     const char *text, size_t length, uint8_t out[static AUDIT_HASH_SIZE])
{
    if (EVP_DigestInit_ex(hasher->context, NULL, NULL) != 1 ||
        EVP_DigestUpdate(hasher->context, previous, AUDIT_HASH_SIZE) != 1 ||
        EVP_DigestUpdate(hasher->context, text, length) != 1 ||
        EVP_DigestFinal_ex(hasher->context, out, NULL) != 1)
        return ERR_CRYPTO;
    return 0;
}

int audit_chain_close(struct audit_hasher *hasher, struct audit_link *link, size_t length,
                      char out[static AUDIT_LINE_MAX])
{
    uint8_t hash[AUDIT_HASH_SIZE];
    int err = audit_chain_hash(hasher, link->hash, out, length, hash);
    if (err != 0)
        return err;
    length += audit_record_pack_hash(out + length, hash);
    out[length++] = '\n';
    memcpy(link->hash, hash, sizeof link->hash);
    link->seq++;
    return (int)length;
}

int audit_chain_seal(struct audit_hasher *hasher, struct audit_link *link, const char *body, size_t length,
                     char out[static AUDIT_LINE_MAX])
{
    size_t begun = audit_record_pack_seq(out, link->seq + 1);
    memcpy(out + begun, body, length);
    return audit_chain_close(hasher, link, begun + length, out);
}

bool audit_chain_fits(struct audit_hasher *hasher, const uint8_t previous[static AUDIT_HASH_SIZE],
                      const char *line, size_t length, const struct audit_record *record)
{
    uint8_t hash[AUDIT_HASH_SIZE];
    return length > AUDIT_TAIL_SIZE &&
           audit_chain_hash(hasher, previous, line, length - AUDIT_TAIL_SIZE, hash) == 0 &&
           memcmp(hash, record->hash, sizeof hash) == 0;
}

char *audit_file_name(uint64_t seq, char out[static AUDIT_FILE_SIZE])
{
    snprintf(out, AUDIT_FILE_SIZE, AUDIT_FILE_PREFIX "%012llu.jsonl",
             (unsigned long long)(seq % (AUDIT_SEQ_MAX + 1)));
    return out;
}

uint64_t audit_file_seq(const char *name)
{
    char again[AUDIT_FILE_SIZE];
    unsigned long long seq = 0;
    if (sscanf(name, AUDIT_FILE_PREFIX "%15llu.jsonl", &seq) != 1 ||
        strcmp(audit_file_name(seq, again), name) != 0)
        return 0;
    return seq;
}
