/* Dangling symbolic links. The target is missing, so the hint for a missing file, to create it, would be
 * wrong. Start-up only. */
#ifndef COMMON_DANGLING_LINK_H
#define COMMON_DANGLING_LINK_H

#include <stdbool.h>

#include "common/err.h"

/* Of PATH, which could not be opened with ENOENT: true when it is a link, with the fault ERR_CONFIG that says
 * where it leads and how to mend it. */
bool dangling_link_explain(const char *path, struct fault *fault);

#endif
