#include "tests/unit/edge/certs_rig.h"

#include <unistd.h>

#include "common/secret.h"
#include "edge/certs/certs.h"
#include "tests/unit/edge/remote_keys.h"

OSSL_LIB_CTX *library;
SSL_CTX *trial;
char *folder;
struct certs *certs;
struct fault fault;

static int no_transport(const struct operation *operation, struct outcome *outcome)
{
    (void)operation, (void)outcome;
    return ERR_UNSUPPORTED;
}

int setup_all(void **state)
{
    remote_keys_make(state);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(
        provider_context_new(&library, &(struct provider_transport){.perform = no_transport}, 0, &fault), 0);
    return 0;
}

int teardown_all(void **state)
{
    provider_context_free(library);
    return remote_keys_free(state);
}

int setup(void **state)
{
    (void)state;
    folder = remote_keys_folder();
    certs = NULL;
    fault.text[0] = '\0';
    return 0;
}

int teardown(void **state)
{
    (void)state;
    certs_free(certs);
    SSL_CTX_free(trial);
    trial = NULL;
    remote_keys_remove(folder);
    return 0;
}

int load(const char *default_name, bool strict)
{
    return certs_load(&certs, &(struct certs_source){library, trial, folder, default_name, strict}, &fault);
}

void put(const char *file, int key, const char *names)
{
    remote_keys_put(folder, file, private_keys[key].key, names);
}

void put_dated(const char *file, long from, long to)
{
    X509 *cert = remote_keys_cert(private_keys[P256_KEY].key, "DNS:dated.example", from, to);
    remote_keys_write(folder, file, cert);
    X509_free(cert);
}

void put_text(const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "a");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

void remove_file(const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_int_equal(unlink(path), 0);
}

const struct cert_set *find(const char *name)
{
    return certs_find(certs, name, (int64_t)time(NULL));
}

bool answers_at(const char *name, enum key_type type, const char *file, int64_t now)
{
    const struct cert_set *set = certs_find(certs, name, now);
    if (set == NULL || set->of_type[type] == NULL)
        return false;
    const char *path = set->of_type[type]->file;
    return strcmp(path + strlen(folder) + 1, file) == 0;
}

bool answers(const char *name, enum key_type type, const char *file)
{
    return answers_at(name, type, file, (int64_t)time(NULL));
}
