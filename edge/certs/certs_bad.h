/* The files among the certificates that cannot be used. A strict load goes on to the last one, too, and fails
 * then: with the fault of the only one, or with the number of those that the log names. Start-up only. */
#ifndef EDGE_CERTS_CERTS_BAD_H
#define EDGE_CERTS_CERTS_BAD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct certs_bad {
    bool strict;
    size_t count;
    const char *event; /* of the first; a strict load keeps it back */
    struct fault first;
};

/* Logs WHY as EVENT (borrowed), and counts it. */
void certs_bad_add(struct certs_bad *bad, const char *event, const struct fault *why);
/* ERR_CONFIG when the load is strict and a file is bad. FOLDER is for the fault. */
int certs_bad_refuse(const struct certs_bad *bad, const char *folder, struct fault *fault) MUST_USE;

#endif
