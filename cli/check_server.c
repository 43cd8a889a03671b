#include "cli/check.h"

#include <unistd.h>

#include "cli/files.h"
#include "keyserver/rules/key_folder.h"

/* ---- the keys: who may read them; what is in them is for the vault to see ---- */

static bool check_key(struct findings *findings, const char *folder, const char *name)
{
    char path[FILES_PATH_MAX];
    struct fault fault = {0};
    int fd = files_path(path, folder, name, &fault);
    if (fd == 0)
        fd = identity_open_secret(path, &fault);
    if (fd < 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return false;
    }
    close(fd);
    return true;
}

static void check_keys(struct findings *findings, const char *folder, struct key_folder *list)
{
    struct fault fault = {0};
    size_t good = 0;
    if (key_folder_list(list, folder, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return;
    }
    for (size_t i = 0; i < list->count; i++)
        good += check_key(findings, folder, list->item[i].name);
    if (list->count == 0)
        findings_add(findings, FINDING_ERROR,
                     "%s: holds no key; put private keys there as NAME.key or NAME.pem, mode 0400", folder);
    else if (good == list->count)
        findings_add(findings, FINDING_OK, "%s: key files, closed to others: %zu", folder, list->count);
}

/* ---- who may use them ---- */

static bool is_key_id(const char *text)
{
    uint8_t id[KEY_ID_SIZE];
    return hex_decode(id, sizeof id, text) == 0;
}

static void check_rights(struct findings *findings, const struct server_config *config,
                         const struct key_folder *keys, const struct authorized_edge *edge)
{
    for (size_t i = 0; i < edge->key_count; i++) {
        if (is_key_id(edge->keys[i]) || key_folder_has(keys, edge->keys[i]))
            continue;
        findings_add(findings, FINDING_WARNING,
                     "%s:%u: edge '%s' may use key '%s', and there is no such key in %s; put it there, or "
                     "correct keys=",
                     config->authorized_edges, edge->line, edge->name, edge->keys[i], config->keys);
    }
}

/* NULL when they cannot be loaded. */
static struct authorized *check_edges(struct findings *findings, const struct server_config *config,
                                      const struct key_folder *keys)
{
    struct fault fault = {0};
    struct authorized *edges = NULL;
    if (authorized_load(&edges, config->authorized_edges, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return NULL;
    }
    if (authorized_count(edges) == 0)
        findings_add(findings, FINDING_WARNING,
                     "%s: no edge may connect; append the line that `keyless init --edge` prints",
                     config->authorized_edges);
    else
        findings_add(findings, FINDING_OK, "%s: edges that may connect: %zu", config->authorized_edges,
                     authorized_count(edges));
    for (size_t i = 0; i < authorized_count(edges); i++)
        check_rights(findings, config, keys, authorized_at(edges, i));
    return edges;
}

/* ---- the rest ---- */

static void check_group_secret(struct findings *findings, const char *path)
{
    struct fault fault = {0};
    int fd = identity_open_secret(path, &fault);
    if (fd >= 0)
        close(fd);
    else if (fd != ERR_NOT_FOUND) /* keyless-server -t says whether a start makes it */
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
}

void check_server_file(struct findings *findings, const char *file)
{
    struct fault fault = {0};
    struct server_config config;
    if (server_config_load(&config, file, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return;
    }
    check_user(findings, file, config.user);
    check_identity(findings, config.identity);
    struct key_folder keys = {.item = NULL};
    check_keys(findings, config.keys, &keys);
    struct authorized *edges = check_edges(findings, &config, &keys);
    check_policy(findings, file, &config, edges);
    authorized_free(edges);
    key_folder_clear(&keys);
    check_group_secret(findings, config.group_secret);
    server_config_clear(&config);
    check_daemon_test(findings, "keyless-server", file);
}
