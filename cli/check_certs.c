#include "cli/check.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edge/certs/certs_folder.h"
#include "edge/certs/certs_hint.h"
#include "edge/certs/certs_keys.h"
#include "edge/provider/provider.h"

#define DAY (24 * 3600L)

/* The keys are only made, never used. */
static int no_transport(const struct operation *operation, struct outcome *outcome)
{
    (void)operation;
    (void)outcome;
    return ERR_UNSUPPORTED;
}

/* ---- one chain ---- */

/* Negative when CERT has ended. */
static long seconds_left(const X509 *cert)
{
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) != 1)
        return -1;
    return days * DAY + seconds;
}

/* NUMBER 1 is the leaf, as a person counts the certificates of a file. */
static void check_time(struct findings *findings, const char *file, const X509 *cert, int number)
{
    long left = seconds_left(cert);
    const char *hint = number == 1 ? "renew it" : "take the chain anew from the authority";
    if (left < 0)
        findings_add(findings, FINDING_ERROR, "%s: certificate %d has expired; %s", file, number, hint);
    else if (left <= CHECK_EXPIRY_DAYS * DAY)
        findings_add(findings, FINDING_WARNING, "%s: certificate %d expires in %ld days; %s", file, number,
                     left / DAY, hint);
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        findings_add(findings, FINDING_WARNING,
                     "%s: certificate %d is not valid yet; check this machine's clock", file, number);
}

/* True when ABOVE is the issuer of BELOW, by name and by signature. */
static bool check_link(struct findings *findings, const char *file, X509 *below, X509 *above, int number)
{
    if (X509_NAME_cmp(X509_get_issuer_name(below), X509_get_subject_name(above)) != 0)
        findings_add(findings, FINDING_WARNING,
                     "%s: certificate %d did not issue certificate %d; put the leaf first, then each issuer "
                     "after what it issued",
                     file, number + 1, number);
    else if (X509_check_issued(above, below) != X509_V_OK || X509_verify(below, X509_get0_pubkey(above)) != 1)
        findings_add(findings, FINDING_ERROR,
                     "%s: certificate %d has the name of the issuer of certificate %d and did not sign it; "
                     "take the chain anew from the authority",
                     file, number + 1, number);
    else
        return true;
    return false;
}

static void check_chain(struct findings *findings, const struct cert *cert)
{
    X509 *below = cert->leaf;
    check_time(findings, cert->file, cert->leaf, 1);
    if (certs_file_lacks_issuer(cert))
        findings_add(findings, FINDING_WARNING, "%s: " CERTS_FILE_ISSUER_MISSING, cert->file);
    for (int i = 0; i < sk_X509_num(cert->chain); i++) {
        X509 *above = sk_X509_value(cert->chain, i);
        check_time(findings, cert->file, above, i + 2);
        if (!check_link(findings, cert->file, below, above, i + 1))
            return;
        below = above;
    }
}

/* ---- what it is for ---- */

static void check_use(struct findings *findings, const struct cert *cert, const struct edge_config *config)
{
    if (cert->name_count == 0)
        findings_add(findings, FINDING_WARNING,
                     "%s: names no host, so that no client gets it by name; issue it with a subjectAltName",
                     cert->file);
    if (config->tls.rsa_key_exchange && cert->type == KEY_RSA &&
        (X509_get_key_usage(cert->leaf) & KU_KEY_ENCIPHERMENT) == 0)
        findings_add(findings, FINDING_WARNING,
                     "%s: its keyUsage lacks keyEncipherment, and rsa_key_exchange is on: strict clients "
                     "refuse; issue it with keyEncipherment",
                     cert->file);
}

static void say_good(struct findings *findings, const struct cert *cert)
{
    findings_add(findings, FINDING_OK, "%s: %s certificate for %s%s, %ld days left", cert->file,
                 key_type_name(cert->type), cert->name_count > 0 ? cert->names[0] : "no name",
                 cert->name_count > 1 ? " and more" : "", seconds_left(cert->leaf) / DAY);
}

static void check_one(struct findings *findings, const struct cert *cert, const struct edge_config *config)
{
    size_t before = findings->counts[FINDING_WARNING] + findings->counts[FINDING_ERROR];
    check_chain(findings, cert);
    check_use(findings, cert, config);
    if (findings->counts[FINDING_WARNING] + findings->counts[FINDING_ERROR] == before)
        say_good(findings, cert);
}

/* ---- all of them ---- */

static bool has_type(const struct check_certs *certs, enum key_type type)
{
    for (size_t i = 0; i < certs->count; i++)
        if (certs->item[i]->type == type)
            return true;
    return false;
}

static void load_paths(struct findings *findings, const struct edge_config *config,
                       const struct certs_paths *paths, struct check_certs *out)
{
    out->item = calloc(paths->count + 1, sizeof(struct cert *));
    for (size_t i = 0; out->item != NULL && i < paths->count; i++) {
        struct fault fault = {0};
        struct cert **cert = &out->item[out->count];
        if (certs_file_load(cert, out->context, &out->pool, paths->item[i], &fault) != 0) {
            findings_add(findings, FINDING_ERROR, "%s", fault.text);
            continue;
        }
        out->count++;
        if (certs_file_check_expiry(*cert, &fault) != 0)
            findings_add(findings, FINDING_ERROR, "%s", fault.text);
        else
            check_one(findings, *cert, config);
    }
}

/* Private keys in files that are no certificates, and what is taken for one. */
static void check_others(struct findings *findings, const char *folder, const struct certs_paths *known)
{
    struct certs_paths keys, ignored;
    struct fault fault = {0};
    if (certs_keys_list(&keys, &ignored, folder, known, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return;
    }
    for (size_t i = 0; i < keys.count; i++) {
        certs_hint_key(keys.item[i], &fault);
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
    }
    for (size_t i = 0; i < ignored.count; i++)
        findings_add(findings, FINDING_WARNING, "%s", ignored.item[i]);
    certs_folder_clear(&keys);
    certs_folder_clear(&ignored);
}

void check_certs_load(struct findings *findings, const struct edge_config *config, struct check_certs *out)
{
    struct fault fault = {0};
    struct certs_paths paths = {0};
    const struct provider_transport transport = {.perform = no_transport};
    if (provider_context_new(&out->context, &transport, 0, &fault) != 0 ||
        certs_folder_list(&paths, config->certificates, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return;
    }
    load_paths(findings, config, &paths, out);
    check_others(findings, config->certificates, &paths);
    if (paths.count == 0)
        findings_add(findings, FINDING_ERROR, "%s: " CERTS_FOLDER_EMPTY, config->certificates);
    else if (config->tls.rsa_key_exchange && out->count > 0 && !has_type(out, KEY_RSA))
        findings_add(findings, FINDING_WARNING,
                     "%s: rsa_key_exchange is on and no certificate here is RSA; add one, or turn it off",
                     config->certificates);
    certs_folder_clear(&paths);
}

void check_certs_clear(struct check_certs *certs)
{
    for (size_t i = 0; i < certs->count; i++)
        certs_file_free(certs->item[i]);
    free(certs->item);
    certs_pool_clear(&certs->pool);
    provider_context_free(certs->context);
    *certs = (struct check_certs){0};
}
