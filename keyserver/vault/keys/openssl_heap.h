/* The memory that OpenSSL works in, where it reads private keys: all of it is wiped when it is given back.
 *
 * OpenSSL keeps the numbers of a private key in its secure heap. But its decoders hold the file's bytes (the
 * DER behind the PEM, the content of PKCS #8) in ordinary memory and free them as they are, and its
 * big-number code leaves whatever it moves when an array grows. The bytes would stay in the process, and in
 * each that is forked from it, until something else happens to be allocated there. */
#ifndef KEYSERVER_VAULT_KEYS_OPENSSL_HEAP_H
#define KEYSERVER_VAULT_KEYS_OPENSSL_HEAP_H

#include "common/err.h"

/* From here on OpenSSL's memory is wiped when it is freed or moved; a second call changes nothing. In a
 * process with one thread, before OpenSSL's first allocation, or it is ERR_CRYPTO: OpenSSL changes its
 * functions no more by then (CRYPTO_set_mem_functions(3)). */
int openssl_heap_start(void) MUST_USE;

#endif
