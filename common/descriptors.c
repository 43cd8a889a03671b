#include "common/descriptors.h"

#include "common/log.h"
#include "common/process.h"

void descriptors_require(unsigned long wanted, const char *why)
{
    unsigned long have = process_raise_descriptors();
    if (have >= wanted)
        return;
    log_finding(LOG_WARN, "descriptors_short",
                "error=\"the limit of open files is %lu, and %s can take %lu; write LimitNOFILE=%lu into the "
                "unit's section [Service] (without systemd: ulimit -n %lu), or set less\"",
                have, why, wanted, wanted, wanted);
}

int descriptors_check(unsigned long least, const char *what, struct fault *fault)
{
    unsigned long have = process_raise_descriptors();
    if (have >= least)
        return 0;
    return fault_set(
        fault, ERR_SYSTEM,
        "the limit of open files is %lu, and %s needs %lu to start; write LimitNOFILE=%lu or more "
        "into the unit's section [Service] (without systemd: ulimit -n %lu)",
        have, what, least, least, least);
}
