/* OpenSSL's error queue: as one line for people, and whose fault it is. */
#ifndef EDGE_PROVIDER_OPENSSL_ERROR_H
#define EDGE_PROVIDER_OPENSSL_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/* One line for the log about why OpenSSL failed: drains the thread's error queue; static text when it is
 * empty. OUT of SIZE bytes; returns OUT. */
char *openssl_error(char *out, size_t size);
/* True when bytes that the peer has chosen are the cause of what the thread's error queue holds: a record too
 * short for its cipher, a point that is none. OpenSSL answers some of them with the alert internal_error, as
 * if it had failed itself. Leaves the queue alone. */
bool openssl_error_is_of_peer(void);

#endif
