#include "common/sign.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/new_file.h"
#include "common/plain_file.h"
#include "common/secret.h"

_Static_assert(SIGN_SEED_SIZE == crypto_sign_SEEDBYTES && SIGN_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES &&
                   SIGN_SIZE == crypto_sign_BYTES &&
                   SIGN_SEED_SIZE + SIGN_PUBLIC_SIZE == crypto_sign_SECRETKEYBYTES,
               "the sizes are Ed25519's");
_Static_assert(SIGN_SEED_SIZE == IDENTITY_KEY_SIZE && SIGN_PUBLIC_SIZE == IDENTITY_KEY_SIZE,
               "one form of file for both");

void sign_derive(struct sign_key *key, const uint8_t seed[static SIGN_SEED_SIZE])
{
    crypto_sign_seed_keypair(key->public, key->secret, seed);
}

int sign_load(struct sign_key **out, const char *path, struct fault *fault)
{
    struct sign_key *key = secret_new(sizeof *key);
    uint8_t seed[SIGN_SEED_SIZE];
    if (key == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: no guarded memory for it", path);
    int err = identity_load_secret(seed, path, fault);
    if (err != 0) {
        secret_free(key);
        return err;
    }
    sign_derive(key, seed);
    wipe(seed, sizeof seed);
    *out = key;
    return 0;
}

int sign_load_public(uint8_t out[static SIGN_PUBLIC_SIZE], const char *path, struct fault *fault)
{
    char line[IDENTITY_TEXT_SIZE + 2] = {0}; /* room for one line end more than a good file has */
    const char *why;
    int fd = plain_file_open(path, PLAIN_FILE_OR_GIVEN, &why);
    if (fd < 0)
        return fault_set(fault, fd == ERR_NOT_FOUND ? fd : ERR_CONFIG, "%s: cannot be read: %s", path, why);
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    if (length < 0)
        return fault_set(fault, ERR_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
    line[strcspn(line, "\r\n")] = 0;
    if (base64_decode(out, SIGN_PUBLIC_SIZE, line) != 0)
        return fault_set(fault, ERR_CONFIG, "%s: not one line with the base64 of a public key of 32 bytes",
                         path);
    return 0;
}

int sign_save_public(const char *path, const uint8_t public[static SIGN_PUBLIC_SIZE], struct fault *fault)
{
    char line[IDENTITY_TEXT_SIZE];
    base64_encode(line, public, SIGN_PUBLIC_SIZE);
    line[IDENTITY_TEXT_SIZE - 1] = '\n';
    return new_file_make(path, 0444, line, sizeof line, fault);
}

void sign_message(uint8_t out[static SIGN_SIZE], const struct sign_key *key, const void *message,
                  size_t length)
{
    crypto_sign_detached(out, NULL, message, length, key->secret);
}

bool sign_verify(const uint8_t signature[static SIGN_SIZE], const uint8_t public[static SIGN_PUBLIC_SIZE],
                 const void *message, size_t length)
{
    return crypto_sign_verify_detached(signature, message, length, public) == 0;
}
