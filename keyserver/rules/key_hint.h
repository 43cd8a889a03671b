/* What is wrong with a file of a private key, in words that say how to mend it. Reads nothing. */
#ifndef KEYSERVER_RULES_KEY_HINT_H
#define KEYSERVER_RULES_KEY_HINT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* PATH holds CONTENTS (common/contents.h), of which no private key can be made as it is. Returns ERR_CONFIG
 * with the fault. */
int key_hint_form(const char *path, unsigned contents, struct fault *fault);
/* PATH holds COUNT private keys. */
int key_hint_several(const char *path, size_t count, struct fault *fault);
/* PATH is encrypted, and no passphrase is given for its key NAME, LENGTH bytes. */
int key_hint_encrypted(const char *path, const char *name, size_t length, struct fault *fault);
/* PATH holds a key whose curve is spelled out instead of named. */
int key_hint_explicit(const char *path, struct fault *fault);
/* PATH holds CONTENTS, a private key, and has a name by which it is not read. IS_PEM: rather than DER. */
int key_hint_ignored(const char *path, unsigned contents, bool is_pem, struct fault *fault);

#endif
