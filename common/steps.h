/* A start as a table of steps. A start goes through the table and ends at the first step that fails; a dry
 * run tells of each step that fails, and goes on with those that do not need it. Start-up only. */
#ifndef COMMON_STEPS_H
#define COMMON_STEPS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum steps_in { STEPS_START = 1, STEPS_DRY_RUN = 2 }; /* a mask */

struct step {
    /* One of the two. 0 or a negative ERR_* with a fault. */
    int (*once)(void *subject, struct fault *fault);
    int (*each)(void *subject, size_t item, struct fault *fault); /* ITEM is below COUNT */
    size_t (*count)(const void *subject);                         /* with EACH */
    unsigned in;                                                  /* enum steps_in; 0: both */
    uint32_t needs; /* bit N: in a dry run, only if step N has not failed and was not left out */
};

/* COUNT steps, at most 32. 0, or the error of the first that fails, with its fault. */
int steps_start(const struct step *steps, size_t count, void *subject, struct fault *fault) MUST_USE;

/* SAY gets each fault, in order; its text is borrowed. 0, or the error of the first that failed. */
int steps_dry_run(const struct step *steps, size_t count, void *subject,
                  void (*say)(const char *fault)) MUST_USE;

#endif
