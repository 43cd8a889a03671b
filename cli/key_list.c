#include "cli/key_list.h"

#include <stdlib.h>
#include <string.h>

static void on_keys(const char *server, enum operation_status status, const struct key_info *keys,
                    size_t count, void *user)
{
    struct key_list *list = user;
    (void)server;
    if (status != STATUS_OK || count == 0)
        return;
    struct key_info *item = reallocarray(list->item, list->count + count, sizeof *item);
    if (item == NULL) {
        list->short_of_memory = true;
        return;
    }
    list->item = item;
    memcpy(&item[list->count], keys, count * sizeof *keys);
    list->count += count;
}

enum operation_status key_list_ask(struct key_list *list, struct asking *asking)
{
    return servers_list_keys(asking, on_keys, list);
}

void key_list_clear(struct key_list *list)
{
    free(list->item);
    *list = (struct key_list){.item = NULL};
}
