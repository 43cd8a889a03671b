#include "common/secret.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>

int secret_init(void)
{
    return sodium_init() < 0 ? ERR_CRYPTO : 0;
}

/* Asks the kernel for random numbers first: without them libsodium aborts, and OpenSSL takes good keys for
 * wrong ones. */
int secret_start(struct fault *fault)
{
    uint8_t byte;
    if (getrandom(&byte, sizeof byte, 0) != sizeof byte)
        return fault_set(
            fault, ERR_CRYPTO,
            "the system gives no random numbers (getrandom: %s); let this call pass in the profile "
            "of the container, or use a kernel that has it",
            strerror(errno));
    return secret_init() == 0 ? 0 : fault_set(fault, ERR_CRYPTO, "libsodium cannot start");
}

void *secret_new(size_t size)
{
    void *secret = sodium_malloc(size);
    if (secret != NULL)
        sodium_memzero(secret, size);
    return secret;
}

void secret_free(void *secret)
{
    sodium_free(secret);
}

void wipe(void *bytes, size_t length)
{
    sodium_memzero(bytes, length);
}

/* Not in the caller's frame, or it would wipe what is below that. */
__attribute__((noinline)) void wipe_stack(void)
{
    uint8_t below[WIPE_STACK_SIZE] UNINITIALIZED;
    sodium_memzero(below, sizeof below);
    wipe_registers();
}

#ifdef __x86_64__
#define ZERO_SSE(n)    "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define ZERO_AVX512(n) "vpxorq %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define FROM_0(X)      X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define FROM_8(X)      X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define FROM_16(X)     X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)
#define FROM_24(X)     X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)

/* A compiler without AVX-512 in its flags uses no registers 16 to 31 and does not know their names. */
#ifdef __AVX512F__
#define CLOBBERED_FROM_16                                                                                    \
    "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",       \
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"
#else
#define CLOBBERED_FROM_16 "memory"
#endif

__attribute__((noinline)) void wipe_registers(void)
{
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile(FROM_16(ZERO_AVX512) FROM_24(ZERO_AVX512)::: CLOBBERED_FROM_16);
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                               "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    else
        __asm__ volatile(FROM_0(ZERO_SSE) FROM_8(ZERO_SSE)::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                               "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}
#else
void wipe_registers(void) {}
#endif

bool same_bytes(const void *a, const void *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

void random_bytes(void *out, size_t length)
{
    randombytes_buf(out, length);
}

uint64_t short_hash(const uint8_t key[static SHORT_HASH_KEY_SIZE], const void *bytes, size_t length)
{
    uint64_t hash;
    _Static_assert(crypto_shorthash_BYTES == sizeof hash && crypto_shorthash_KEYBYTES == 16, "its sizes");
    crypto_shorthash((uint8_t *)&hash, bytes, length, key);
    return hash;
}

void sha256(uint8_t out[static SHA256_SIZE], const void *bytes, size_t length)
{
    crypto_hash_sha256(out, bytes, length);
}

void sha512(uint8_t out[static SHA512_SIZE], const void *bytes, size_t length)
{
    crypto_hash_sha512(out, bytes, length);
}

void hmac_sha256(uint8_t out[static SHA256_SIZE], const void *key, size_t key_length, const void *bytes,
                 size_t length)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_length);
    crypto_auth_hmacsha256_update(&state, bytes, length);
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}
