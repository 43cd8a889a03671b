/* What `keyless init` says when it is done: to a person, or as one JSON object. */
#ifndef CLI_INIT_SAY_H
#define CLI_INIT_SAY_H

#include <stdbool.h>
#include <stddef.h>

struct init_half {
    const char *folder;     /* absolute */
    const char *public_key; /* base64 */
};

/* All borrowed. */
struct init_made {
    bool json;
    const char *folder;                    /* as it was named */
    const struct init_half *server, *edge; /* NULL: not made */
    bool own_keys;                         /* given ones were copied: none were made, none are missing */
    const char *origin, *server_listen, *edge_listen;
    const char *line; /* the edge's half: its line for authorized_edges, which holds a secret */
};

void init_say_trial(const struct init_made *made);
void init_say_server(const struct init_made *made);
void init_say_edge(const struct init_made *made);

#endif
