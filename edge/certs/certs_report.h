/* Log lines about certificates and time: names that are answered with one that is not valid, and names
 * that are answered with another one from now on. Any thread. */
#ifndef EDGE_CERTS_CERTS_REPORT_H
#define EDGE_CERTS_CERTS_REPORT_H

#include "edge/certs/certs.h"
#include "edge/certs/certs_time.h"

struct certs_summary {
    size_t names[CERT_STATES]; /* by the state of what answers them */
    int64_t earliest_expiry;   /* of all that answer now; seconds since 1970; 0 for none */
};
void certs_summarize(const struct certs *certs, int64_t now, struct certs_summary *out);

/* Logs that CERT names no host. */
void certs_report_nameless(const struct cert *cert);
/* Logs the names that no valid certificate answers at NOW, and the certificates whose time has not come. */
void certs_report(const struct certs *certs, int64_t now);
/* Logs what is other at NOW than it was at BEFORE. */
void certs_report_changes(const struct certs *certs, int64_t before, int64_t now);

#endif
