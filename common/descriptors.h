/* Whether the limit of open files permits what the configuration asks for. Linux only. */
#ifndef COMMON_DESCRIPTORS_H
#define COMMON_DESCRIPTORS_H

#include "common/err.h"

#define DESCRIPTORS_SPARE 64 /* for what a daemon has beside its connections */

/* Raises the soft limit to the hard one. When that is below WANTED, which follows from WHY ("half_open_max =
 * 1024"), logs the warning "descriptors_short" with both numbers and the hint. The daemon serves all the
 * same: it takes no more connections than it has descriptors for. */
void descriptors_require(unsigned long wanted, const char *why);
/* Raises the soft limit to the hard one. ERR_SYSTEM, with both numbers and the hint, when that is below
 * LEAST: WHAT ("an edge with 4 threads") could not even start. To be called before anything is opened that
 * stays so. */
int descriptors_check(unsigned long least, const char *what, struct fault *fault) MUST_USE;

#endif
