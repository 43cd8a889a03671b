/* Do the numbers of an RSA private key belong together? Start-up only. */
#ifndef KEYSERVER_VAULT_KEYS_RSA_CHECK_H
#define KEYSERVER_VAULT_KEYS_RSA_CHECK_H

#include <openssl/types.h>
#include <stdbool.h>

/* n = p q; e odd and above 1; e d = 1 and e dp = 1 modulo p - 1, likewise for q; q qinv = 1 modulo p, and
 * qinv below p (RFC 8017, 3.2); and a signature made with them verifies. One wrong number would give the key
 * away with the first use, or cost double. Not a test of primality, which takes a hundred times as long and
 * which the last step makes needless: with a composite factor it would not verify. */
bool rsa_check_numbers(EVP_PKEY *pkey);

#endif
