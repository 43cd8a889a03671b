/* Links that lead nowhere: what they should lead to is elsewhere, so a new file in its place mends nothing.
 * Start-up only. */
#ifndef COMMON_DANGLING_LINK_H
#define COMMON_DANGLING_LINK_H

#include <stdbool.h>

#include "common/err.h"

/* Of PATH, which could not be opened with ENOENT: true when it is a link, with the fault ERR_CONFIG that says
 * where it leads and how to mend it. */
bool dangling_link_explain(const char *path, struct fault *fault);

#endif
