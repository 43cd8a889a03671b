/* Memory return: when an edge gives memory back to the system. The C library keeps what a wave of connections
 * took, and a little more after each wave. Pure; one thread. */
#ifndef EDGE_DAEMON_MEMORY_RETURN_H
#define EDGE_DAEMON_MEMORY_RETURN_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_RETURN_LOOK_MS 10000 /* between two looks at the number of connections */
#define MEMORY_RETURN_LEAST   1000  /* a lower peak is not worth it */

/* Zeroed at the start. Private. */
struct memory_return {
    uint64_t peak; /* of the looks since memory was returned last */
    bool fell;     /* at the last look there were at most half as many */
};

/* There are CONNECTIONS now. True when a wave is over: two looks in a row found at most half of its peak. */
bool memory_return_is_due(struct memory_return *memory, uint64_t connections);

#endif
