#include "proto/msg.h"

#include <stdlib.h>

#include "common/secret.h"
#include "proto/msg_block.h"

void msg_free(struct msg *msg)
{
    if (msg == NULL)
        return;
    struct msg_block *block = (struct msg_block *)(void *)((uint8_t *)msg - offsetof(struct msg_block, msg));
    wipe(block, block->size);
    free(block);
}

int msg_version_choose(const struct msg_hello *ours, const struct msg_hello *theirs)
{
    uint32_t highest = ours->version_max < theirs->version_max ? ours->version_max : theirs->version_max;
    uint32_t lowest = ours->version_min > theirs->version_min ? ours->version_min : theirs->version_min;
    return highest < lowest || highest > PROTOCOL_VERSION_MAX ? ERR_UNSUPPORTED : (int)highest;
}
