#include "proto/session_id.h"

#include <string.h>

#include "common/secret.h"

#define LABEL      "keyless session id"
#define LABEL_SIZE (sizeof LABEL - 1)
#define MAC_SIZE   (SESSION_ID_SIZE - SESSION_ID_RANDOM_SIZE)

void session_id_make(uint8_t out[static SESSION_ID_SIZE], const uint8_t key[static EPOCH_KEY_SIZE],
                     const uint8_t random[static SESSION_ID_RANDOM_SIZE])
{
    uint8_t input[LABEL_SIZE + SESSION_ID_RANDOM_SIZE], mac[SHA256_SIZE];
    memcpy(input, LABEL, LABEL_SIZE);
    memcpy(input + LABEL_SIZE, random, SESSION_ID_RANDOM_SIZE);
    hmac_sha256(mac, key, EPOCH_KEY_SIZE, input, sizeof input);
    memmove(out, random, SESSION_ID_RANDOM_SIZE);
    memcpy(out + SESSION_ID_RANDOM_SIZE, mac, MAC_SIZE);
    wipe(mac, sizeof mac);
}

bool session_id_check(const uint8_t id[static SESSION_ID_SIZE], const uint8_t key[static EPOCH_KEY_SIZE])
{
    uint8_t expected[SESSION_ID_SIZE];
    session_id_make(expected, key, id);
    bool same = same_bytes(expected, id, sizeof expected);
    wipe(expected, sizeof expected); /* secret: the sender of a wrong one must not learn it */
    return same;
}
