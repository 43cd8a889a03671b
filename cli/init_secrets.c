#include "cli/init_secrets.h"

#include "cli/files.h"
#include "common/secret.h"
#include "common/sign.h"

int init_secrets_make_file(const char *path, const uint8_t secret[static IDENTITY_KEY_SIZE],
                           struct fault *fault)
{
    int err = identity_save_secret(path, secret, fault);
    if (err == 0)
        files_note(path);
    return err;
}

int init_secrets_make(const char *folder, const char *name, char text[static IDENTITY_TEXT_SIZE],
                      struct fault *fault)
{
    char path[FILES_PATH_MAX];
    uint8_t secret[IDENTITY_KEY_SIZE];
    int err = files_path(path, folder, name, fault);
    if (err != 0)
        return err;
    random_bytes(secret, sizeof secret);
    base64_encode(text, secret, sizeof secret);
    err = init_secrets_make_file(path, secret, fault);
    wipe(secret, sizeof secret);
    return err;
}

static int save_both(const char *key_path, const char *public_path, struct fault *fault)
{
    uint8_t seed[SIGN_SEED_SIZE];
    struct sign_key *key = secret_new(sizeof *key);
    if (key == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: no guarded memory for it", key_path);
    random_bytes(seed, sizeof seed);
    sign_derive(key, seed);
    int err = init_secrets_make_file(key_path, seed, fault);
    wipe(seed, sizeof seed);
    if (err == 0)
        err = sign_save_public(public_path, key->public, fault);
    if (err == 0)
        files_note(public_path);
    secret_free(key);
    return err;
}

int init_secrets_make_audit_key(const char *folder, struct fault *fault)
{
    char key_path[FILES_PATH_MAX], public_path[FILES_PATH_MAX];
    int err = files_path(key_path, folder, "audit.key", fault);
    if (err == 0)
        err = files_path(public_path, folder, "audit.pub", fault);
    return err != 0 ? err : save_both(key_path, public_path, fault);
}
