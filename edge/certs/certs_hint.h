/* What is wrong with a file among the certificates, in words that say how to mend it. Reads nothing. */
#ifndef EDGE_CERTS_CERTS_HINT_H
#define EDGE_CERTS_CERTS_HINT_H

#include "common/err.h"

/* PATH holds a private key. Returns ERR_CONFIG with the fault. */
int certs_hint_key(const char *path, struct fault *fault);
/* PATH holds CONTENTS (common/contents.h), and no certificate in PEM. Returns ERR_CONFIG with the fault. */
int certs_hint_form(const char *path, unsigned contents, struct fault *fault);

#endif
