#include "cli/init_judge.h"

#include "cli/files.h"
#include "edge/certs/certs_file.h"
#include "edge/certs/certs_folder.h"
#include "edge/config/edge_config.h"
#include "edge/provider/provider.h"
#include "keyserver/rules/server_config.h"

int init_judge_server(const char *folder, struct fault *fault)
{
    char path[FILES_PATH_MAX];
    struct server_config config;
    int err = files_path(path, folder, "server.conf", fault);
    if (err == 0)
        err = server_config_load(&config, path, fault);
    if (err == 0)
        server_config_clear(&config);
    return err;
}

/* The keys are only made, never used. */
static int no_transport(const struct operation *operation, struct outcome *outcome)
{
    (void)operation;
    (void)outcome;
    return ERR_UNSUPPORTED;
}

static int judge_each(OSSL_LIB_CTX *context, const struct certs_paths *paths, struct fault *fault)
{
    struct certs_pool pool = {0};
    int err = 0;
    for (size_t i = 0; err == 0 && i < paths->count; i++) {
        struct cert *cert = NULL;
        err = certs_file_load(&cert, context, &pool, paths->item[i], fault);
        if (err == 0)
            err = certs_file_check_expiry(cert, fault);
        certs_file_free(cert);
    }
    certs_pool_clear(&pool);
    return err;
}

static int judge_certs(const char *folder, struct fault *fault)
{
    const struct provider_transport transport = {.perform = no_transport};
    OSSL_LIB_CTX *context = NULL;
    struct certs_paths paths = {0};
    int err = certs_folder_list(&paths, folder, fault);
    if (err == 0 && paths.count > 0)
        err = provider_context_new(&context, &transport, 0, fault);
    if (err == 0 && paths.count > 0)
        err = judge_each(context, &paths, fault);
    provider_context_free(context);
    certs_folder_clear(&paths);
    return err;
}

int init_judge_edge(const char *folder, struct fault *fault)
{
    char path[FILES_PATH_MAX];
    struct edge_config config;
    int err = files_path(path, folder, "edge.conf", fault);
    if (err == 0)
        err = edge_config_load(&config, path, fault);
    if (err != 0)
        return err;
    err = judge_certs(config.certificates, fault);
    edge_config_clear(&config);
    return err;
}
