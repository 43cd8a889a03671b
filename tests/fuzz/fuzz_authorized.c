/* Any bytes are a list of edges or a fault with file and line; every edge of a list is found by its key. */
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/rules/authorized.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* A limit reads back, and lets a first one pass. */
static void check_limit(const struct authorized_edge *edge, const struct rate_limit *limit,
                        enum authorized_option option)
{
    const struct rate_limit_bucket bucket = {.debt = 0};
    const struct rate_limit_window window = {.start = 0};
    char text[RATE_LIMIT_TEXT_SIZE];
    struct rate_limit again;
    rate_limit_text(text, limit);
    must(rate_limit_parse_rate(&again, text) == 0 || rate_limit_parse_quota(&again, text) == 0);
    must(again.count == limit->count && again.seconds == limit->seconds);
    must(rate_limit_bucket_check(&bucket, limit, UINT64_MAX) &&
         rate_limit_window_check(&window, limit, INT64_MAX / 2));
    must(limit->count == 0 || edge->given & 1u << option);
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
        must(authorized_find_name(list, edge->name) == edge);
        must(edge->given & 1u << AUTHORIZED_PSK && edge->given >> AUTHORIZED_OPTIONS == 0);
        must(edge->valid.first <= edge->valid.last);
        check_limit(edge, &edge->rate, AUTHORIZED_RATE);
        check_limit(edge, &edge->quota, AUTHORIZED_QUOTA);
        must(edge->name[0] != 0 && strlen(edge->name) < AUTHORIZED_NAME_MAX);
        must(authorized_from(edge, &address) || edge->from_count > 0);
        must(authorized_for_key(edge, edge->key, "www") || !edge->all_keys);
    }
    authorized_forget_psks(list);
    authorized_free(list);
    return 0;
}
