/* The keys that a key server lets this edge use, kept beyond the call that tells of them. */
#ifndef CLI_KEY_LIST_H
#define CLI_KEY_LIST_H

#include "cli/servers.h"

/* Zero-initialised is empty; free with key_list_clear(). */
struct key_list {
    struct key_info *item; /* owned */
    size_t count;
    bool short_of_memory; /* some keys are left out */
};

/* Adds what the server of ASKING tells to LIST; STATUS_OK, or why there is no list, as servers_list_keys().
 */
enum operation_status key_list_ask(struct key_list *list, struct asking *asking);
void key_list_clear(struct key_list *list);

#endif
