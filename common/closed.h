/* Whether the folder of a file is closed: nobody but its owner (and root) can replace what is in it. Of a
 * folder with the sticky bit others cannot, nor of one that is mounted read-only. A group may where secret
 * files are its own (identity_set_readers()). Start-up and reload only. */
#ifndef COMMON_CLOSED_H
#define COMMON_CLOSED_H

#include "common/err.h"

/* ERR_CONFIG with a fault that names FOLDER, and its mend, when others may write to it. One that cannot be
 * looked at is for whoever opens it to complain of. */
int closed_check_folder(const char *folder, struct fault *fault) MUST_USE;
/* The same of the folder in which PATH is, and, when PATH is a link, of that in which the file is. */
int closed_check_place(const char *path, struct fault *fault) MUST_USE;

#endif
