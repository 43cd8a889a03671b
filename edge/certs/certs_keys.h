/* Looks into every file below the folder of certificates that is not loaded, whatever its name, for private
 * keys, which may not be there, and for certificates that are passed over. Start-up only. */
#ifndef EDGE_CERTS_CERTS_KEYS_H
#define EDGE_CERTS_CERTS_KEYS_H

#include "edge/certs/certs_folder.h"

#define CERTS_KEYS_DEPTH     8       /* sub-folders below the folder */
#define CERTS_KEYS_FILES_MAX 1000000 /* files and folders that are looked at */

/* Lists the files below FOLDER that hold a private key (in PEM or DER, PKCS #12 included), names with a
 * leading dot and every extension included, symbolic links followed, but for those that are in KNOWN: whoever
 * loads them looks himself. Of a file the first megabyte is read; what cannot be read is passed over.
 * In IGNORED comes what is said of each further file that looks like a certificate (certs_ignored.h); what
 * begins with a dot may be anything.
 * ERR_MEMORY, or ERR_LENGTH for more than CERTS_KEYS_FILES_MAX files, with a fault. */
int certs_keys_list(struct certs_paths *out, struct certs_paths *ignored, const char *folder,
                    const struct certs_paths *known, struct fault *fault) MUST_USE;

#endif
