#include "keyserver/vault/request/hasher.h"

#include <openssl/evp.h>
#include <stdbool.h>

int hasher_init(struct hasher *hasher)
{
    static const char *const names[] = {"SHA256", "SHA384", "SHA512"};
    bool whole = true;
    for (size_t i = 0; i < 3; i++) {
        hasher->sha[i] = EVP_MD_fetch(NULL, names[i], NULL);
        whole = whole && hasher->sha[i] != NULL;
    }
    hasher->context = EVP_MD_CTX_new();
    return whole && hasher->context != NULL ? 0 : ERR_MEMORY;
}

void hasher_clear(struct hasher *hasher)
{
    for (size_t i = 0; i < 3; i++)
        EVP_MD_free(hasher->sha[i]);
    EVP_MD_CTX_free(hasher->context);
}

int hasher_hash(const struct hasher *hasher, uint8_t *out, unsigned bits, const void *first,
                size_t first_length, const void *second, size_t second_length)
{
    size_t place = bits / 128 - 2;
    return place < 3 && EVP_DigestInit_ex2(hasher->context, hasher->sha[place], NULL) == 1 &&
                   EVP_DigestUpdate(hasher->context, first, first_length) == 1 &&
                   EVP_DigestUpdate(hasher->context, second, second_length) == 1 &&
                   EVP_DigestFinal_ex(hasher->context, out, NULL) == 1
               ? 0
               : ERR_CRYPTO;
}
