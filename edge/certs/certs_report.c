#include "edge/certs/certs_report.h"

#include <stdio.h>
#include <time.h>

#include "common/log.h"

#define TIME_TEXT_SIZE 32

static const char *time_text(int64_t seconds, char out[static TIME_TEXT_SIZE])
{
    time_t when = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&when, &parts) == NULL || strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(out, TIME_TEXT_SIZE, "%lld", (long long)seconds);
    return out;
}

static void report_invalid(const struct certs_name *name, const struct cert *cert, int64_t now)
{
    char when[TIME_TEXT_SIZE];
    if (certs_time_state(cert, now) == CERT_EXPIRED)
        log_finding(LOG_ERROR, "certificate_expired",
                    "name=%s file=%s since=%s error=\"clients are shown an expired certificate: there is no "
                    "better one\" hint=\"renew it and restart; if it is valid, set this machine's clock\"",
                    certs_name_text(name), cert->file, time_text(cert->not_after, when));
    else
        log_finding(
            LOG_WARN, "certificate_not_yet_valid",
            "name=%s file=%s from=%s error=\"clients are shown a certificate whose time has not come: "
            "there is no better one\" hint=\"check this machine's clock\"",
            certs_name_text(name), cert->file, time_text(cert->not_before, when));
}

static void report_set(const struct certs_name *name, const struct cert_set *set, int64_t now)
{
    if (certs_time_set_state(set, now) == CERT_VALID)
        return;
    for (int type = 0; type < KEY_TYPES; type++)
        if (set->of_type[type] != NULL)
            report_invalid(name, set->of_type[type], now);
}

void certs_report(const struct certs *certs, int64_t now)
{
    char when[TIME_TEXT_SIZE];
    for (size_t i = 0; i < certs_count(certs); i++)
        if (certs_time_state(certs_at(certs, i), now) == CERT_NOT_YET_VALID)
            log_finding(LOG_INFO, "certificate_waits", "file=%s from=%s", certs_at(certs, i)->file,
                        time_text(certs_at(certs, i)->not_before, when));
    for (const struct certs_name *name = NULL; (name = certs_name_next(certs, name)) != NULL;)
        report_set(name, certs_name_at(name, now), now);
}

void certs_report_nameless(const struct cert *cert)
{
    log_finding(LOG_WARN, "certificate_without_name",
                "file=%s error=\"it names no host, so it can only serve as the default\" "
                "hint=\"issue it with a subjectAltName\"",
                cert->file);
}

/* One line for each certificate that answers NAME now and did not before. */
static void report_new(const struct certs_name *name, const struct cert_set *before,
                       const struct cert_set *set)
{
    for (int type = 0; type < KEY_TYPES; type++)
        if (set->of_type[type] != NULL && set->of_type[type] != before->of_type[type])
            log_finding(LOG_INFO, "certificate_changed", "name=%s file=%s before=%s", certs_name_text(name),
                        set->of_type[type]->file,
                        before->of_type[type] != NULL ? before->of_type[type]->file : "-");
}

void certs_report_changes(const struct certs *certs, int64_t before, int64_t now)
{
    for (const struct certs_name *name = NULL; (name = certs_name_next(certs, name)) != NULL;) {
        const struct cert_set *old = certs_name_at(name, before), *set = certs_name_at(name, now);
        if (old != set)
            report_new(name, old, set);
        if (old != set || certs_time_set_state(old, before) != certs_time_set_state(set, now))
            report_set(name, set, now);
    }
}

void certs_summarize(const struct certs *certs, int64_t now, struct certs_summary *out)
{
    *out = (struct certs_summary){.earliest_expiry = 0};
    for (const struct certs_name *name = NULL; (name = certs_name_next(certs, name)) != NULL;) {
        const struct cert_set *set = certs_name_at(name, now);
        out->names[certs_time_set_state(set, now)]++;
        for (int type = 0; type < KEY_TYPES; type++) {
            const struct cert *cert = set->of_type[type];
            if (cert != NULL && (out->earliest_expiry == 0 || cert->not_after < out->earliest_expiry))
                out->earliest_expiry = cert->not_after;
        }
    }
}
