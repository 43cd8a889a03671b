#include "keyserver/vault/compute/premaster.h"

#include <assert.h>
#include <string.h>

#include "common/secret.h"

#define HALF 32 /* bytes of one HMAC */

void premaster_fallback(uint8_t out[static TLS_PREMASTER_SIZE], const uint8_t secret[static SHA256_SIZE],
                        uint16_t client_version, const uint8_t *ciphertext, size_t length)
{
    uint8_t input[3 + RSA_MODULUS_MAX], expanded[2 * HALF];
    assert(length <= RSA_MODULUS_MAX);
    input[1] = (uint8_t)(client_version >> 8);
    input[2] = (uint8_t)client_version;
    memcpy(input + 3, ciphertext, length);
    for (uint8_t part = 0; part < 2; part++) {
        input[0] = (uint8_t)(part + 1);
        hmac_sha256(expanded + part * HALF, secret, SHA256_SIZE, input, 3 + length);
    }
    out[0] = input[1];
    out[1] = input[2];
    memcpy(out + 2, expanded, TLS_PREMASTER_SIZE - 2);
    wipe(expanded, sizeof expanded);
}

/* All ones when VALUE is zero, else zero. The empty assembly keeps a compiler from seeing a comparison and
 * branching on it. */
static uint32_t mask_zero(uint32_t value)
{
    __asm__("" : "+r"(value));
    return (uint32_t)(((uint64_t)value - 1) >> 32);
}

void premaster_unpad(uint8_t out[static TLS_PREMASTER_SIZE], const uint8_t *plain, size_t length,
                     uint16_t client_version, const uint8_t fallback[static TLS_PREMASTER_SIZE])
{
    assert(length >= RSA_MODULUS_MIN && length <= RSA_MODULUS_MAX);
    size_t separator = length - TLS_PREMASTER_SIZE - 1;
    const uint8_t *secret = plain + separator + 1;
    /* With the modulus so long and the separator at one place only, "at least eight" is "all from 2 to the
     * separator". */
    uint32_t good = mask_zero(plain[0]) & mask_zero(plain[1] ^ 2u) & mask_zero(plain[separator]);
    for (size_t i = 2; i < separator; i++)
        good &= ~mask_zero(plain[i]);
    good &= mask_zero((uint32_t)secret[0] ^ (uint32_t)(client_version >> 8));
    good &= mask_zero((uint32_t)secret[1] ^ (client_version & 0xffu));
    __asm__("" : "+r"(good)); /* neither may it see that there are only two masks */
    for (size_t i = 0; i < TLS_PREMASTER_SIZE; i++)
        out[i] = (uint8_t)((secret[i] & good) | (fallback[i] & ~good));
}
