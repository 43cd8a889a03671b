/* For a dry run: whether a start could make a file or folder that is missing.
 * Makes, opens and changes nothing. Start-up only. */
#ifndef COMMON_UNMADE_H
#define COMMON_UNMADE_H

#include "common/err.h"

/* Whether the folder in which PATH, which is not there, would be is there: ERR_CONFIG with the hint when not.
 */
int unmade_check_has_folder(const char *path, struct fault *fault) MUST_USE;
/* Whether this process could make PATH, a file that is not there: ERR_CONFIG with the hint when its folder is
 * missing, is none, or cannot be written to. The hint never changes that folder's owner, since it may be the
 * system's.
 */
int unmade_check(const char *path, struct fault *fault) MUST_USE;
/* The same of a folder, which root may make for this process's user. */
int unmade_check_new_folder(const char *path, struct fault *fault) MUST_USE;
/* The same of a secret file, whose folder must be closed to others besides. */
int unmade_check_secret(const char *path, struct fault *fault) MUST_USE;
/* Whether files can be made in FOLDER, which is there: ERR_CONFIG with the hint when not. */
int unmade_check_folder(const char *folder, struct fault *fault) MUST_USE;
/* Says on standard output that a start makes PATH, which is WHAT. */
void unmade_say(const char *path, const char *what);
/* What the lines of unmade_say() begin with. */
#define UNMADE_PREFIX "a start makes "

#endif
