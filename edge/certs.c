#include "edge/certs.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "edge/certs_file.h"
#include "edge/certs_folder.h"
#include "edge/certs_keys.h"
#include "edge/certs_mend.h"

/* Names come from the operator's files, so the table's plain hash cannot be flooded; clients only look up. */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION     HASH_FNV
#include <uthash.h>

struct name {
    const char *text; /* borrowed from a certificate */
    struct cert_set own;
    const struct cert_set *shared; /* the distinct set equal to `own`; borrowed from the table of sets */
    UT_hash_handle hh;
};

/* A distinct set; the certificates it is made of are its key in the table. */
struct set {
    struct cert_set set;
    UT_hash_handle hh;
};

struct certs {
    struct cert **cert; /* owned, in the order of their paths */
    size_t count, skipped;
    struct name *names;              /* owned table */
    struct set *sets;                /* owned table */
    const struct set **set_at;       /* owned array, borrowed entries */
    const struct cert_set *fallback; /* NULL: strangers are refused */
};

void certs_free(struct certs *certs)
{
    if (certs == NULL)
        return;
    struct name *name, *next_name;
    HASH_ITER(hh, certs->names, name, next_name)
    {
        HASH_DEL(certs->names, name);
        free(name);
    }
    struct set *set, *next_set;
    HASH_ITER(hh, certs->sets, set, next_set)
    {
        HASH_DEL(certs->sets, set);
        free(set);
    }
    for (size_t i = 0; i < certs->count; i++)
        certs_file_free(certs->cert[i]);
    free(certs->cert);
    free(certs->set_at);
    free(certs);
}

/* ---- building ---- */

/* The files that cannot be used. A strict load goes on to the last one, too, and fails then: with the fault
 * of the only one, or with the number of those that the log names. */
struct bad_files {
    bool strict;
    size_t count;
    const char *event; /* of the first; a strict load keeps it back */
    struct fault first;
};

static void add_bad(struct bad_files *bad, const char *event, const struct fault *why)
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

static int refuse_bad(const struct bad_files *bad, const char *folder, struct fault *fault)
{
    if (!bad->strict || bad->count == 0)
        return 0;
    if (bad->count == 1)
        return fault_set(fault, ERR_CONFIG, "%s", bad->first.text);
    return fault_set(fault, ERR_CONFIG, "%s: %zu of its files cannot be used; see the lines above", folder,
                     bad->count);
}

static int load_each(struct certs *certs, OSSL_LIB_CTX *context, struct certs_pool *pool,
                     const struct certs_paths *paths, struct bad_files *bad, struct fault *fault)
{
    for (size_t i = 0; i < paths->count; i++) {
        struct fault why = {.text = ""};
        int error = certs_file_load(&certs->cert[certs->count], context, pool, paths->item[i], &why);
        if (error == 0) {
            certs->count++;
            continue;
        }
        if (error == ERR_MEMORY)
            return fault_set(fault, error, "%s", why.text);
        add_bad(bad, "certificate_skipped", &why);
    }
    return 0;
}

/* Keys in files that are no certificates: nobody loads them, and nobody may have them here. */
static int find_keys(const char *folder, const struct certs_paths *paths, struct bad_files *bad,
                     struct fault *fault)
{
    struct certs_paths keys;
    int error = certs_keys_list(&keys, folder, paths, fault);
    for (size_t i = 0; error == 0 && i < keys.count; i++) {
        struct fault why = {.text = ""};
        (void)certs_mend_key(keys.item[i], &why);
        add_bad(bad, "private_key_found", &why);
    }
    certs_folder_clear(&keys);
    return error;
}

static int load_files(struct certs *certs, OSSL_LIB_CTX *context, const char *folder,
                      const struct certs_paths *paths, bool strict, struct fault *fault)
{
    struct certs_pool pool = {.entries = NULL};
    struct bad_files bad = {.strict = strict};
    certs->cert = calloc(paths->count + 1, sizeof(struct cert *));
    if (certs->cert == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for %zu certificates", paths->count);
    int error = load_each(certs, context, &pool, paths, &bad, fault);
    certs_pool_clear(&pool);
    if (error == 0)
        error = find_keys(folder, paths, &bad, fault);
    certs->skipped = bad.count;
    return error != 0 ? error : refuse_bad(&bad, folder, fault);
}

/* Of two for the same name and type the one that lasts longer; of equals the first. */
static void set_put(struct cert_set *set, const struct cert *cert, const char *name)
{
    const struct cert **place = &set->of_type[cert->type];
    const struct cert *loser = cert;
    if (*place == NULL || (*place)->not_after < cert->not_after) {
        loser = *place;
        *place = cert;
    }
    if (loser != NULL && loser != *place)
        log_finding(LOG_INFO, "certificate_shadowed", "name=%s file=%s by=%s", name, loser->file,
                    (*place)->file);
}

static int add_name(struct certs *certs, const char *text, const struct cert *cert)
{
    struct name *name = NULL;
    HASH_FIND_STR(certs->names, text, name);
    if (name == NULL) {
        name = calloc(1, sizeof *name);
        if (name == NULL)
            return ERR_MEMORY;
        name->text = text;
        HASH_ADD_KEYPTR(hh, certs->names, text, strlen(text), name);
        if (name->hh.tbl == NULL) {
            free(name);
            return ERR_MEMORY;
        }
    }
    set_put(&name->own, cert, text);
    return 0;
}

/* The distinct set with the certificates of OWN; made when it is new; NULL without memory. */
static const struct cert_set *set_share(struct certs *certs, const struct cert_set *own)
{
    struct set *set = NULL;
    HASH_FIND(hh, certs->sets, own->of_type, sizeof own->of_type, set);
    if (set != NULL)
        return &set->set;
    set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    set->set = *own;
    set->set.index = HASH_COUNT(certs->sets);
    HASH_ADD(hh, certs->sets, set.of_type, sizeof set->set.of_type, set);
    if (set->hh.tbl == NULL) {
        free(set);
        return NULL;
    }
    return &set->set;
}

static int name_all(struct certs *certs)
{
    for (size_t i = 0; i < certs->count; i++) {
        const struct cert *cert = certs->cert[i];
        if (cert->name_count == 0)
            log_finding(LOG_WARN, "certificate_without_name",
                        "file=%s meaning=\"it can only serve as the default\"", cert->file);
        for (size_t n = 0; n < cert->name_count; n++)
            if (add_name(certs, cert->names[n], cert) != 0)
                return ERR_MEMORY;
    }
    for (struct name *name = certs->names; name != NULL; name = name->hh.next)
        if ((name->shared = set_share(certs, &name->own)) == NULL)
            return ERR_MEMORY;
    return 0;
}

/* ---- looking up ---- */

static const struct cert_set *find_text(const struct certs *certs, const char *text)
{
    const struct name *name = NULL;
    HASH_FIND_STR(certs->names, text, name);
    return name == NULL ? NULL : name->shared;
}

/* Exact, then the wildcard in place of the first label. */
static const struct cert_set *find_specific(const struct certs *certs, const char *name, size_t length)
{
    char folded[CERTS_NAME_SIZE];
    if (!certs_file_fold_name(folded, name, length))
        return NULL;
    const struct cert_set *set = find_text(certs, folded);
    char *dot = strchr(folded, '.');
    if (set != NULL || dot == NULL || dot == folded)
        return set;
    dot[-1] = '*';
    return find_text(certs, dot - 1);
}

const struct cert_set *certs_find(const struct certs *certs, const char *name)
{
    const struct cert_set *set = name == NULL ? NULL
                                              : find_specific(certs, name, strnlen(name, CERTS_NAME_SIZE));
    return set != NULL ? set : certs->fallback;
}

/* ---- the default ---- */

static int choose_default(struct certs *certs, const char *default_name, struct fault *fault)
{
    struct cert_set alone = {.index = 0};
    if (default_name != NULL && default_name[0] == '\0')
        return 0;
    if (default_name != NULL) {
        certs->fallback = find_specific(certs, default_name, strnlen(default_name, CERTS_NAME_SIZE));
        if (certs->fallback != NULL)
            return 0;
        return fault_set(
            fault, ERR_CONFIG,
            "default_certificate '%s': no certificate has this name; name one of the host names in the "
            "certificates' folder, or \"\" to refuse unknown clients",
            default_name);
    }
    const struct cert *first = certs->cert[0];
    alone.of_type[first->type] = first;
    certs->fallback = first->name_count > 0 ? find_text(certs, first->names[0]) : set_share(certs, &alone);
    return certs->fallback != NULL ? 0 : fault_set(fault, ERR_MEMORY, "no memory for certificates");
}

static int index_sets(struct certs *certs)
{
    certs->set_at = calloc(HASH_COUNT(certs->sets) + 1, sizeof(struct set *));
    if (certs->set_at == NULL)
        return ERR_MEMORY;
    for (const struct set *set = certs->sets; set != NULL; set = set->hh.next)
        certs->set_at[set->set.index] = set;
    return 0;
}

int certs_load(struct certs **out, OSSL_LIB_CTX *context, const char *folder, const char *default_name,
               bool strict, struct fault *fault)
{
    struct certs_paths paths = {.count = 0};
    struct certs *certs = calloc(1, sizeof *certs);
    if (certs == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for certificates");
    int error = certs_folder_list(&paths, folder, fault);
    if (error == 0)
        error = load_files(certs, context, folder, &paths, strict, fault);
    certs_folder_clear(&paths);
    if (error == 0 && certs->count == 0 && certs->skipped == 0)
        error = fault_set(fault, ERR_CONFIG, "%s: " CERTS_FOLDER_EMPTY, folder);
    else if (error == 0 && certs->count == 0)
        error = fault_set(
            fault, ERR_CONFIG,
            "%s: no usable certificate below it (%zu skipped); put PEM chains there as NAME.pem or "
            "NAME/fullchain.pem",
            folder, certs->skipped);
    if (error == 0 && (error = name_all(certs)) != 0)
        fault_set(fault, error, "no memory for the names of %zu certificates", certs->count);
    if (error == 0)
        error = choose_default(certs, default_name, fault);
    if (error == 0 && (error = index_sets(certs)) != 0)
        fault_set(fault, error, "no memory for certificates");
    if (error != 0) {
        certs_free(certs);
        return error;
    }
    *out = certs;
    return 0;
}

size_t certs_count(const struct certs *certs)
{
    return certs->count;
}

size_t certs_skipped(const struct certs *certs)
{
    return certs->skipped;
}

const struct cert *certs_at(const struct certs *certs, size_t index)
{
    return index < certs->count ? certs->cert[index] : NULL;
}

size_t certs_set_count(const struct certs *certs)
{
    return HASH_COUNT(certs->sets);
}

const struct cert_set *certs_set_at(const struct certs *certs, size_t index)
{
    return index < certs_set_count(certs) ? &certs->set_at[index]->set : NULL;
}
