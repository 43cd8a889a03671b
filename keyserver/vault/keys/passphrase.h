/* The passphrase of an encrypted key file: where the configuration says that it is, and its bytes. No person
 * is ever asked for one. Start-up and reload only; any thread. */
#ifndef KEYSERVER_VAULT_KEYS_PASSPHRASE_H
#define KEYSERVER_VAULT_KEYS_PASSPHRASE_H

#include "keyserver/rules/server_config.h"

#define PASSPHRASE_MAX 1023 /* bytes; what OpenSSL takes for the traditional forms of PEM */

struct passphrase {
    struct buffer text; /* owned; wipes itself */
    size_t length;      /* bytes of it */
};

/* Where the passphrase of one key is; both NULL: nowhere. Borrowed from the configuration. */
struct passphrase_place {
    const char *key; /* the key's name, LENGTH bytes; no zero behind it */
    size_t length;
    const char *file;       /* path */
    const char *credential; /* name of a credential of systemd's, in $CREDENTIALS_DIRECTORY */
};

/* What CONFIG (NULL: nothing) says of the key NAME, LENGTH bytes: its section, else key_default. A section
 * that names the key by its id is not found, since the id is in the file. */
struct passphrase_place passphrase_place(const struct server_config *config, const char *name, size_t length);
bool passphrase_is_given(const struct passphrase_place *place);
/* Reads it into the zeroed OUT: one line, without its end. The file is checked as every secret is. ERR_CONFIG
 * and the like with a fault; OUT is empty then. */
int passphrase_read(const struct passphrase_place *place, struct passphrase *out,
                    struct fault *fault) MUST_USE;
void passphrase_clear(struct passphrase *passphrase);

#endif
