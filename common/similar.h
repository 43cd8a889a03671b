/* Which of several names a mistyped one stands for. Pure. */
#ifndef COMMON_SIMILAR_H
#define COMMON_SIMILAR_H

#include <stddef.h>

struct similar {
    const char *wanted; /* borrowed: the name as it was written */
    const char *best;   /* borrowed: the nearest of those offered; NULL when none is near */
    size_t distance;    /* of the best; the next must be nearer */
};

/* Begins the search for what WANTED may mean. */
void similar_init(struct similar *similar, const char *wanted);
/* NAME may be meant. Names of more than 63 bytes never are. */
void similar_offer(struct similar *similar, const char *name);

#endif
