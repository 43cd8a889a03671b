/* Findings: what `keyless check` has to say, one line each: "ok|warning|error  WHAT: why; mend".
 *
 * Printed as they come, or kept for JSON; what was said once is not said again. One thread. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_ERROR, FINDING_LEVELS };

struct findings {
    bool json;                     /* keep quiet until findings_end() */
    const char *looked_at;         /* borrowed: what was checked, for the line that sums up; NULL: none */
    size_t counts[FINDING_LEVELS]; /* how many of each level */
    size_t unreachable;            /* of the errors: nobody answered */
    struct finding {               /* owned array */
        enum finding_level level;
        char *text; /* owned; "WHAT: why; mend" */
    } * item;
    size_t count, size;
};

/* "WHAT: why; mend". A text that is there already is dropped. */
void findings_add(struct findings *findings, enum finding_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* An error of the kind that nobody answered. */
void findings_add_unreachable(struct findings *findings, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints what was kept, or else a line that sums up, frees everything, and returns the exit code: CLI_DONE
 * without an error, CLI_UNREACHABLE when every error is that nobody answered, CLI_FAILED otherwise. */
int findings_end(struct findings *findings);

#endif
