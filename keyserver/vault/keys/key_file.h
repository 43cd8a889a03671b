/* One key file: bytes in PEM or DER become a struct key, or a reason why not with its hint. Start-up only. */
#ifndef KEYSERVER_VAULT_KEYS_KEY_FILE_H
#define KEYSERVER_VAULT_KEYS_KEY_FILE_H

#include "keyserver/vault/keys/keystore.h"
#include "keyserver/vault/keys/passphrase.h"

#define KEY_FILE_MAX 65536 /* bytes */

/* Reads PATH (mode checked) into the zeroed KEY: everything but name, index and fallback_secret. PLACE is
 * where its passphrase is, which is read for an encrypted file only. ERR_NOT_FOUND: there is no such file. */
int key_file_load(struct key *key, const char *path, const struct passphrase_place *place,
                  struct fault *fault) MUST_USE;

#endif
