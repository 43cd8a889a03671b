#include "edge/daemon/memory_return.h"

bool memory_return_is_due(struct memory_return *memory, uint64_t connections)
{
    bool fell = memory->peak >= MEMORY_RETURN_LEAST && connections <= memory->peak / 2,
         due = fell && memory->fell;

    if (due || connections > memory->peak)
        memory->peak = connections;
    memory->fell = fell && !due;
    return due;
}
