#include "cli/init_wishes.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "cli/files.h"
#include "cli/given.h"
#include "common/bytes.h"
#include "common/identity.h"
#include "common/listening.h"
#include "common/privileges.h"
#include "edge/certs/certs_file.h"
#include "keyserver/rules/authorized_options.h"

#define SERVER_PORT 2407
#define EDGE_PORT   443
#define HOST_MAX    64 /* bytes of a common name: RFC 5280 appendix A, ub-common-name */

static bool is_trial(const struct init_wishes *wishes)
{
    return !wishes->server && !wishes->edge;
}

void init_wishes_complete(struct init_wishes *wishes)
{
    if (wishes->server_listen == NULL)
        wishes->server_listen = is_trial(wishes) ? "127.0.0.1:2407" : "0.0.0.0:2407";
    if (wishes->edge_listen == NULL)
        wishes->edge_listen = is_trial(wishes) ? "127.0.0.1:8443" : "0.0.0.0:443";
}

/* ---- words ---- */

static int check_halves(const struct init_wishes *wishes, struct fault *fault)
{
    uint8_t key[IDENTITY_KEY_SIZE];
    if (wishes->server && wishes->edge)
        return fault_set(fault, ERR_CONFIG,
                         "--server and --edge are halves; without either you get both, as a trial");
    if (wishes->edge && (wishes->key_server == NULL || wishes->server_key == NULL))
        return fault_set(
            fault, ERR_CONFIG,
            "--edge needs --key-server ADDRESS and --server-key KEY, as `keyless init --server` prints them");
    if (wishes->server_key != NULL && base64_decode(key, sizeof key, wishes->server_key) != 0)
        return fault_set(
            fault, ERR_CONFIG,
            "--server-key '%s' is not the base64 of 32 bytes; on the key server: keyless pubkey identity.key",
            wishes->server_key);
    if (is_trial(wishes) && (wishes->key_count > 0) != (wishes->cert_count > 0))
        return fault_set(fault, ERR_CONFIG, "a trial with given keys needs both --key and --cert");
    return 0;
}

static int check_user(const char *user, struct fault *fault)
{
    struct fault why = {.text = ""};
    uid_t uid;
    gid_t gid;
    if (user == NULL)
        return 0;
    if (user[0] == 0 || strpbrk(user, "\"\\ ") != NULL)
        return fault_set(fault, ERR_CONFIG, "--user '%s' is not the name of an account", user);
    int err = given_text_check("--user", user, fault);
    if (err != 0)
        return err;
    err = privileges_find_user(user, &uid, &gid, &why);
    return err == 0 ? 0 : fault_set(fault, err, "--user: %s", why.text);
}

/* What a certificate can have beside "*." and itself. */
static int check_host(const char *host, struct fault *fault)
{
    char folded[CERTS_NAME_SIZE];
    int err = given_text_check("--host", host, fault);
    if (err != 0)
        return err;
    if (host[0] == '*' || !certs_file_fold_name(folded, host, strlen(host)))
        return fault_set(fault, ERR_CONFIG,
                         "--host '%s' is not a host name; write letters, digits, '-' and dots (a name in "
                         "another script as xn--…)",
                         host);
    if (strlen(host) > HOST_MAX)
        return fault_set(fault, ERR_CONFIG, "--host '%s' is longer than %d bytes; name a shorter one", host,
                         HOST_MAX);
    return 0;
}

static int check_words(const struct init_wishes *wishes, struct fault *fault)
{
    char folder[PATH_MAX];
    int err = check_halves(wishes, fault);
    if (err == 0)
        err = given_text_check("the path of DIR", files_absolute(folder, wishes->folder), fault);
    if (err == 0)
        err = check_host(wishes->host, fault);
    if (err == 0 && !authorized_is_name(wishes->name, AUTHORIZED_NAME_MAX - 1))
        err = fault_set(fault, ERR_CONFIG, "--name takes 1 to 63 letters, digits, '.', '_', '-'");
    return err != 0 ? err : check_user(wishes->user, fault);
}

/* ---- addresses ---- */

/* TARGET, which is OPTION's and to which the edge connects, is not the edge itself. */
static int check_apart(const struct init_wishes *wishes, const char *option, const char *target,
                       uint16_t port, const char *why, struct fault *fault)
{
    char *listen = strdup(wishes->edge_listen);
    if (listen == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for an address");
    const struct config_strings texts = {.item = &listen, .count = 1};
    const struct listening_own own = {.file = option,
                                      .option = "--edge-listen",
                                      .place = listen,
                                      .texts = &texts,
                                      .default_port = EDGE_PORT};
    const struct listening_other other = {
        .option = "the address", .place = option, .text = target, .default_port = port, .why = why};
    int err = listening_check_apart(&own, &other, fault);
    free(listen);
    return err;
}

static int check_edge_addresses(const struct init_wishes *wishes, struct fault *fault)
{
    const char *option = wishes->edge ? "--key-server" : "--server-listen";
    const char *target = wishes->edge ? wishes->key_server : wishes->server_listen;
    int err = given_listen_check("--edge-listen", wishes->edge_listen, EDGE_PORT, fault);
    if (err == 0)
        err = given_target_check(option, target, SERVER_PORT, fault);
    if (err == 0)
        err = given_target_check("--origin", wishes->origin, 0, fault);
    if (err == 0)
        err = check_apart(wishes, option, target, SERVER_PORT,
                          "clients of the edge connect there; give one of the two another port", fault);
    return err != 0 ? err
                    : check_apart(wishes, "--origin", wishes->origin, 0,
                                  "what clients send would come back to the edge without end; name where "
                                  "the web server listens",
                                  fault);
}

/* Also of what this half has no use for. */
static int check_texts(const struct init_wishes *wishes, struct fault *fault)
{
    const struct {
        const char *option, *text;
    } texts[] = {{"--server-listen", wishes->server_listen},
                 {"--edge-listen", wishes->edge_listen},
                 {"--key-server", wishes->key_server},
                 {"--origin", wishes->origin}};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof texts / sizeof texts[0]; i++)
        err = given_text_check(texts[i].option, texts[i].text, fault);
    return err;
}

static int check_addresses(const struct init_wishes *wishes, struct fault *fault)
{
    int err = check_texts(wishes, fault);
    if (err == 0 && !wishes->edge)
        err = given_listen_check("--server-listen", wishes->server_listen, SERVER_PORT, fault);
    return err != 0 || wishes->server ? err : check_edge_addresses(wishes, fault);
}

int init_wishes_check(const struct init_wishes *wishes, struct fault *fault)
{
    int err = check_words(wishes, fault);
    return err != 0 ? err : check_addresses(wishes, fault);
}
