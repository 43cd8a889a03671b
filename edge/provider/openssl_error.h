/* OpenSSL's error queue as one line for people. */
#ifndef EDGE_PROVIDER_OPENSSL_ERROR_H
#define EDGE_PROVIDER_OPENSSL_ERROR_H

#include <stddef.h>

/* One line for the log about why OpenSSL failed: drains the thread's error queue; static text when it is
 * empty. OUT of SIZE bytes; returns OUT. */
char *openssl_error(char *out, size_t size);

#endif
