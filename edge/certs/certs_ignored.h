/* Files below the folder of certificates that are not loaded: whether one looks like a certificate, by its
 * name or by what is in it, and what makes it one that is loaded. Start-up only. */
#ifndef EDGE_CERTS_CERTS_IGNORED_H
#define EDGE_CERTS_CERTS_IGNORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Whether PATH, which is not loaded and holds no private key, looks like a certificate. WHY then says what is
 * wrong, with a hint. BYTES are the first LENGTH of its content, or NULL where it could not be read, for the
 * reason ERROR, an errno. */
bool certs_ignored_look(const char *path, const uint8_t *bytes, size_t length, int error, struct fault *why);
/* The same of a folder that is not looked into. */
void certs_ignored_folder(const char *path, struct fault *why);

#endif
