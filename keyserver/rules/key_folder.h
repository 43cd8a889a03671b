/* The folder of keys: which files there are, and what tells whether one has changed. Opens
 * no file. Start-up and reload only. */
#ifndef KEYSERVER_RULES_KEY_FOLDER_H
#define KEYSERVER_RULES_KEY_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* What changes when a file, its owner or its mode does. All zero: not known. */
struct key_stamp {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns; /* since 1970 */
    uint32_t mode, owner, group;
};

struct key_folder_file {
    char *name; /* owned; its path beneath the folder */
    struct key_stamp stamp;
};

struct key_folder {
    struct key_folder_file *item; /* owned; in the order of their names */
    size_t count;
    char **other; /* owned names of further regular files, whose names are not those of keys, and of folders
                   * that are too deep to be looked into */
    size_t others, others_left_out; /* listed, and not listed */
};

#define KEY_FOLDER_OTHERS 256 /* of them are listed */

#define KEY_FOLDER_DEPTH  3 /* sub-folders below the folder */

/* The key files of FOLDER and its sub-folders into the empty OUT, links followed, what begins with a dot left
 * out. Beside a privkey.pem the files that ACME clients put there for the other side, cert.pem, chain.pem and
 * fullchain.pem, are left out, too. A sub-folder that cannot be read stands in the list itself: opening it
 * reports why. ERR_CONFIG when FOLDER cannot be read or others may write to it, ERR_MEMORY. */
int key_folder_list(struct key_folder *out, const char *folder, struct fault *fault) MUST_USE;
void key_folder_clear(struct key_folder *list);
/* The extension that makes NAME, a path, a key file (.pem, .key, .der, in small letters or capitals), or
 * NULL. What stands before it is the key's name. */
const char *key_folder_extension(const char *name);
/* Whether there is a file whose key has NAME. */
bool key_folder_has(const struct key_folder *list, const char *name);
/* True when both are known and the same: the file need not be read again. */
bool key_stamp_same(const struct key_stamp *a, const struct key_stamp *b);

#endif
