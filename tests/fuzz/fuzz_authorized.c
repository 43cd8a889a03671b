/* Any bytes are a list of edges or a fault with file and line; every edge of a list is found by its key. */
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/authorized.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct authorized *list;
    struct fault fault = {{0}};
    struct address address = {.u.v4.sin_family = AF_INET, .length = sizeof address.u.v4};
    must(secret_init() == 0);
    if (authorized_parse(&list, (const char *)bytes, length, "file", &fault) != 0) {
        must(list == NULL && strncmp(fault.text, "file:", 5) == 0);
        return 0;
    }
    for (size_t i = 0; i < authorized_count(list); i++) {
        const struct authorized_edge *edge = authorized_at(list, i);
        must(authorized_find(list, edge->key) == edge);
        must(edge->name[0] != 0 && strlen(edge->name) < AUTHORIZED_NAME_MAX);
        must(authorized_from(edge, &address) || edge->from_count > 0);
        must(authorized_for_key(edge, edge->key, "www") || !edge->all_keys);
    }
    authorized_forget_psks(list);
    authorized_free(list);
    return 0;
}
