/* The certificate files below a folder, in a fixed order. Knows names of files, not what is in them.
 * Start-up only. */
#ifndef EDGE_CERTS_CERTS_FOLDER_H
#define EDGE_CERTS_CERTS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define CERTS_FOLDER_DEPTH 3 /* sub-folders below the folder */
/* Of a folder, after its name and a colon. */
#define CERTS_FOLDER_EMPTY "holds no certificate; put chains there as NAME.pem or NAME/fullchain.pem"

struct certs_paths {
    char **item; /* owned strings, sorted */
    size_t count;
    size_t size; /* room */
};

/* Whether NAME, or a path, is that of a certificate file: *.pem, *.crt, *.cer, in small letters or capitals.
 */
bool certs_folder_is_name(const char *name);
/* Whether PATH, below FOLDER, is left out silently: its name, or that of a folder on the
 * way, begins with a dot, or it is a part beside a fullchain.pem. */
bool certs_folder_leaves_out(const char *folder, const char *path);
/* Lists *.pem, *.crt and *.cer below FOLDER, symbolic links followed, what begins with a dot left out. Beside
 * a fullchain.pem its parts, cert.pem and chain.pem (the layout of ACME clients), are left out as well. */
int certs_folder_list(struct certs_paths *out, const char *folder, struct fault *fault) MUST_USE;
/* Takes PATH, also when it fails with ERR_MEMORY. */
int certs_paths_add(struct certs_paths *paths, char *path) MUST_USE;
void certs_folder_clear(struct certs_paths *paths);

#endif
