/* For a dry run: whether a start could create a file or folder that is missing.
 * Creates, opens and changes nothing. Start-up only. */
#ifndef COMMON_CREATABLE_H
#define COMMON_CREATABLE_H

#include "common/err.h"

/* Whether the parent folder of PATH exists: ERR_CONFIG with the hint when not. PATH itself does not. */
int creatable_check_parent(const char *path, struct fault *fault) MUST_USE;
/* Whether this process could create the file PATH, which does not exist: ERR_CONFIG with the hint when it is
 * a link to nowhere, or its parent is missing, is no folder, or cannot be written to. The hint never changes
 * the owner of that folder, which may be the system's. */
int creatable_check(const char *path, struct fault *fault) MUST_USE;
/* The same of a folder, which root may create for this process's user. */
int creatable_check_new_folder(const char *path, struct fault *fault) MUST_USE;
/* The same of a secret file, whose folder must be closed to others besides. */
int creatable_check_secret(const char *path, struct fault *fault) MUST_USE;
/* Whether files can be created in FOLDER, which exists: ERR_CONFIG with the hint when not. */
int creatable_check_folder(const char *folder, struct fault *fault) MUST_USE;
/* Says on standard output that a start makes PATH, which is WHAT; for a program that ends with
 * output_finish(). */
void creatable_say(const char *path, const char *what);
/* What the lines of creatable_say() begin with. */
#define CREATABLE_PREFIX "a start makes "

#endif
