#include "keyserver/vault/memory_lock.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/secret.h"

#define STACK_RESERVED (512 * 1024)

/* A locked stack that grows past RLIMIT_MEMLOCK kills the process. So the first thread's stack is grown
 * before it is locked, as far as it will ever need. */
static __attribute__((noinline)) void reserve_stack(void)
{
    uint8_t stack[STACK_RESERVED] UNINITIALIZED;
    wipe(stack, sizeof stack);
}

static bool lock_range(const char *line)
{
    unsigned long from, to;
    char rights[8], name[32] = "";
    int found = sscanf(line, "%lx-%lx %7s %*s %*s %*s %31s", &from, &to, rights, name);
    bool is_data = found >= 3 && strncmp(rights, "rw-p", 4) == 0 &&
                   (name[0] == 0 || strcmp(name, "[heap]") == 0);
    return !is_data || mlock2((const void *)from, to - from, MLOCK_ONFAULT) == 0;
}

/* Only where secrets can lie: writable memory that is of no file. */
static bool lock_data(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    bool locked = maps != NULL;
    while (locked && fgets(line, sizeof line, maps) != NULL)
        locked = lock_range(line);
    if (maps != NULL)
        fclose(maps);
    return locked;
}

bool memory_lock(void)
{
    struct rlimit limit, none = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 && getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit); /* to a limit that it has anyway */
    }
    reserve_stack();
    /* Locks what is mapped now, which includes the keys; pages that are not there yet are locked when they
     * are used. Not MCL_FUTURE: under a limit, later allocations would fail. */
    return mlockall(MCL_CURRENT | MCL_ONFAULT) == 0 || lock_data();
}
