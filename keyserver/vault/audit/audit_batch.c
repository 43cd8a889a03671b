#include "keyserver/vault/audit/audit_batch.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 65536 /* bytes; doubled as needed, and kept */

static bool make_room(struct audit_batch *batch, size_t wanted)
{
    if (batch->size - batch->length >= wanted)
        return true;
    size_t size = batch->size == 0 ? FIRST_SIZE : 2 * batch->size;
    char *bytes = realloc(batch->bytes, size);
    if (bytes == NULL)
        return false;
    batch->bytes = bytes;
    batch->size = size;
    return true;
}

void audit_batch_add(struct audit_batch *batch, struct audit_entry *entry, const struct audit_record *record)
{
    _Static_assert(FIRST_SIZE >= sizeof *entry + AUDIT_BODY_MAX, "doubling is enough");
    if (!make_room(batch, sizeof *entry + AUDIT_BODY_MAX)) {
        batch->lost++;
        return;
    }
    char *at = batch->bytes + batch->length;
    entry->length = audit_record_pack(record, at + sizeof *entry);
    memcpy(at, entry, sizeof *entry);
    batch->length += sizeof *entry + entry->length;
}

const char *audit_batch_next(const struct audit_batch *batch, size_t *at, struct audit_entry *entry)
{
    if (*at == batch->length)
        return NULL;
    memcpy(entry, batch->bytes + *at, sizeof *entry);
    const char *body = batch->bytes + *at + sizeof *entry;
    *at += sizeof *entry + entry->length;
    return body;
}

void audit_batch_reset(struct audit_batch *batch)
{
    batch->length = 0;
    batch->lost = 0;
}

void audit_batch_clear(struct audit_batch *batch)
{
    free(batch->bytes);
    *batch = (struct audit_batch){.bytes = NULL};
}
