#include "edge/certs/certs_bad.h"

#include "common/log.h"

void certs_bad_add(struct certs_bad *bad, const char *event, const struct fault *why)
{
    bad->count++;
    if (bad->strict && bad->count == 1) {
        bad->event = event;
        bad->first = *why;
        return;
    }
    if (bad->strict && bad->count == 2)
        log_finding(LOG_ERROR, bad->event, "error=\"%s\"", bad->first.text);
    log_finding(LOG_ERROR, event, "error=\"%s\"", why->text);
}

int certs_bad_refuse(const struct certs_bad *bad, const char *folder, struct fault *fault)
{
    if (!bad->strict || bad->count == 0)
        return 0;
    if (bad->count == 1)
        return fault_set(fault, ERR_CONFIG, "%s", bad->first.text);
    return fault_set(fault, ERR_CONFIG, "%s: %zu of its files cannot be used; see the lines above", folder,
                     bad->count);
}
