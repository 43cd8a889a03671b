/* Identities: X25519 key pairs and 32-byte pre-shared keys in files, as in WireGuard: one line of base64.
 *
 * Secret files must be regular, owned by the caller or root, and closed to group and others, but for what
 * permissions_set_readers() allows (permissions.h); otherwise the fault says which chmod mends it. Start-up
 * only. */
#ifndef COMMON_IDENTITY_H
#define COMMON_IDENTITY_H

#include <stdint.h>

#include "common/bytes.h"

#define IDENTITY_KEY_SIZE  32
#define IDENTITY_TEXT_SIZE 45 /* base64 of 32 bytes and the final zero */

struct identity {
    uint8_t secret[IDENTITY_KEY_SIZE]; /* X25519 private key */
    uint8_t public[IDENTITY_KEY_SIZE];
};

void identity_generate(struct identity *out);
/* Fills `public` from `secret`. */
void identity_derive(struct identity *identity);

/* Reads a secret X25519 key; the identity lives in guarded memory, free with secret_free(). */
int identity_load(struct identity **out, const char *path, struct fault *fault) MUST_USE;
/* Reads 32 secret bytes into OUT; zeros only are none. */
int identity_load_secret(uint8_t out[static IDENTITY_KEY_SIZE], const char *path,
                         struct fault *fault) MUST_USE;
/* The same of a secret that HOLDER ("another key server of the group") has as well: the hint for a missing
 * file says so. */
int identity_load_shared(uint8_t out[static IDENTITY_KEY_SIZE], const char *path, const char *holder,
                         struct fault *fault) MUST_USE;
/* Makes PATH with mode 0400, never over an existing file, holding 32 bytes as a base64 line; synced to disk.
 */
int identity_save_secret(const char *path, const uint8_t secret[static IDENTITY_KEY_SIZE],
                         struct fault *fault) MUST_USE;

/* A secret file that the configuration names: the words for it there, and where it is. */
struct identity_file {
    const char *option;
    const char *path; /* NULL: not set */
};
/* Checks that the COUNT secrets are different files, so that one that leaks gives no other away. ERR_CONFIG
 * with a fault that begins with FILE, the configuration, and names two that are one. Those that are not there
 * yet go by their paths. */
int identity_check_apart(const char *file, const struct identity_file *files, size_t count,
                         struct fault *fault) MUST_USE;

/* The checks alone, for files of other content (private keys, authorized_edges): regular file, owner, mode
 * without any bit for group or others, in a folder that others cannot write to (permissions.h). The fault
 * names the file and its hint. Opens it and returns the descriptor, so that what is read is what was checked.
 */
int identity_open_secret(const char *path, struct fault *fault) MUST_USE;
/* identity_open_secret, then the whole content (at most LIMIT bytes) into OUT, which wipes itself. */
int identity_read_secret_file(const char *path, size_t limit, struct buffer *out,
                              struct fault *fault) MUST_USE;

#endif
