/* keyless init: the files of a trial on one machine, or of one half of two machines. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/accounts.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/given.h"
#include "cli/given_pairs.h"
#include "cli/init_conf.h"
#include "cli/init_judge.h"
#include "cli/init_say.h"
#include "cli/init_secrets.h"
#include "cli/init_wishes.h"
#include "cli/trial_pki.h"
#include "common/bytes.h"
#include "common/identity.h"
#include "common/output.h"
#include "common/privileges.h"
#include "common/secret.h"

#define TRIAL_LOCKED (8ul << 20) /* bytes, the usual limit, are enough for three keys */

struct half {
    char folder[FILES_PATH_MAX];
    char keys[FILES_PATH_MAX]; /* keys/ of the key server, certs/ of the edge */
    struct identity identity;
    char public[IDENTITY_TEXT_SIZE];
};

static int make_half(struct half *half, const char *folder, const char *sub_folder, mode_t sub_mode,
                     struct fault *fault)
{
    char path[FILES_PATH_MAX];
    int err = files_make_folder(folder, 0755, fault);
    if (err != 0)
        return err;
    char *absolute = realpath(folder, NULL);
    int length = snprintf(half->folder, sizeof half->folder, "%s", absolute == NULL ? "" : absolute);
    free(absolute);
    if (length <= 0 || length >= FILES_PATH_MAX)
        return fault_set(fault, ERR_SYSTEM, "%s: has no usable absolute path", folder);
    if ((err = files_path(half->keys, half->folder, sub_folder, fault)) != 0 ||
        (err = files_make_folder(half->keys, sub_mode, fault)) != 0 ||
        (err = files_path(path, half->folder, "identity.key", fault)) != 0)
        return err;
    identity_generate(&half->identity);
    base64_encode(half->public, half->identity.public, sizeof half->identity.public);
    err = init_secrets_make_file(path, half->identity.secret, fault);
    wipe(half->identity.secret, sizeof half->identity.secret);
    return err;
}

static int make_text(const char *folder, const char *name, mode_t mode, struct buffer *text,
                     struct fault *fault)
{
    char path[FILES_PATH_MAX];
    int err = files_path(path, folder, name, fault);
    if (err == 0)
        err = files_make(path, mode, buffer_length(text) ? (const void *)buffer_bytes(text) : "",
                         buffer_length(text), fault);
    buffer_clear(text);
    return err;
}

typedef int (*given_copy)(const char *file, const char *folder, struct fault *fault);

static int copy_given(const char *const *files, size_t count, given_copy copy, const char *folder,
                      struct fault *fault)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++)
        err = copy(files[i], folder, fault);
    return err;
}

static int write_server_conf(const struct init_wishes *wishes, const struct half *server, bool trial,
                             struct fault *fault)
{
    struct buffer text = {0};
    char secret[IDENTITY_TEXT_SIZE];
    const struct init_conf conf = {.folder = server->folder,
                                   .listen = wishes->server_listen,
                                   .user = wishes->user,
                                   .trial = trial,
                                   .memory_short = trial && !privileges_may_lock(TRIAL_LOCKED)};
    int err = init_secrets_make(server->folder, "group.secret", secret, fault);
    wipe(secret, sizeof secret);
    if (err == 0)
        err = init_secrets_make_audit_key(server->folder, fault);
    if (err == 0)
        err = init_conf_server(&text, &conf);
    if (err != 0)
        buffer_clear(&text);
    return err != 0 ? err : make_text(server->folder, "server.conf", 0644, &text, fault);
}

static int write_edge_conf(const struct init_wishes *wishes, const struct half *edge, const char *address,
                           const char *server_key, bool trial, struct fault *fault)
{
    struct buffer text = {0};
    const struct init_conf conf = {.folder = edge->folder,
                                   .listen = wishes->edge_listen,
                                   .user = wishes->user,
                                   .trial = trial,
                                   .origin = wishes->origin,
                                   .key_server = address,
                                   .server_key = server_key};
    int err = init_conf_edge(&text, &conf);
    if (err != 0)
        buffer_clear(&text);
    return err != 0 ? err : make_text(edge->folder, "edge.conf", 0644, &text, fault);
}

/* The line of this edge for authorized_edges on the key server; it holds the pre-shared key. */
static int edge_line(struct buffer *line, const struct init_wishes *wishes, const struct half *edge,
                     struct fault *fault)
{
    char psk[IDENTITY_TEXT_SIZE];
    int err = init_secrets_make(edge->folder, "psk", psk, fault);
    if (err == 0)
        err = buffer_printf(line, "%s %s psk=%s ops=sign_tls12,sign_tls13,rsa_master\n", edge->public,
                            wishes->name, psk);
    wipe(psk, sizeof psk);
    return err;
}

static int make_trial_keys(const struct init_wishes *wishes, const struct half *server,
                           const struct half *edge, struct fault *fault)
{
    char ca[FILES_PATH_MAX];
    int err;
    if (wishes->key_count > 0) {
        err = copy_given(wishes->keys, wishes->key_count, given_key_copy, server->keys, fault);
        if (err == 0)
            err = copy_given(wishes->certs, wishes->cert_count, given_cert_copy, edge->keys, fault);
        return err != 0 ? err
                        : given_pairs_check(wishes->keys, wishes->key_count, wishes->certs,
                                            wishes->cert_count, fault);
    }
    err = files_path(ca, wishes->folder, "ca.pem", fault);
    return err != 0 ? err : trial_pki_make(ca, server->keys, edge->keys, wishes->host, fault);
}

static int make_trial(const struct init_wishes *wishes, struct fault *fault)
{
    struct half server, edge;
    struct buffer line = {0};
    char server_path[FILES_PATH_MAX], edge_path[FILES_PATH_MAX];
    int err;
    if ((err = files_make_folder(wishes->folder, 0755, fault)) != 0 ||
        (err = files_path(server_path, wishes->folder, "server", fault)) != 0 ||
        (err = files_path(edge_path, wishes->folder, "edge", fault)) != 0 ||
        (err = make_half(&server, server_path, "keys", 0700, fault)) != 0 ||
        (err = make_half(&edge, edge_path, "certs", 0755, fault)) != 0 ||
        (err = make_trial_keys(wishes, &server, &edge, fault)) != 0 ||
        (err = write_server_conf(wishes, &server, true, fault)) != 0 ||
        (err = write_edge_conf(wishes, &edge, wishes->server_listen, server.public, true, fault)) != 0 ||
        (err = edge_line(&line, wishes, &edge, fault)) != 0 ||
        (err = make_text(server.folder, "authorized_edges", 0600, &line, fault)) != 0 ||
        (err = init_judge_server(server.folder, fault)) != 0 ||
        (err = init_judge_edge(edge.folder, fault)) != 0) {
        buffer_clear(&line);
        return err;
    }
    init_say_trial(&(struct init_made){.json = wishes->json,
                                       .folder = wishes->folder,
                                       .server = &(struct init_half){server.folder, server.public},
                                       .edge = &(struct init_half){edge.folder, edge.public},
                                       .own_keys = wishes->key_count > 0,
                                       .origin = wishes->origin,
                                       .edge_listen = wishes->edge_listen});
    return 0;
}

static int make_server(const struct init_wishes *wishes, struct fault *fault)
{
    static const char comment[] = "# One line an edge: KEY NAME psk=… [ops=…] [keys=…] [from=…] "
                                  "[not_after=…] [rate=…] …; `keyless init --edge` prints it.\n";
    struct half server;
    struct buffer text = {0};
    int err;
    if ((err = make_half(&server, wishes->folder, "keys", 0700, fault)) != 0 ||
        (err = copy_given(wishes->keys, wishes->key_count, given_key_copy, server.keys, fault)) != 0 ||
        (err = given_pairs_check(wishes->keys, wishes->key_count, NULL, 0, fault)) != 0 ||
        (err = write_server_conf(wishes, &server, false, fault)) != 0 ||
        (err = buffer_put(&text, comment, sizeof comment - 1)) != 0 ||
        (err = make_text(server.folder, "authorized_edges", 0600, &text, fault)) != 0 ||
        (err = init_judge_server(server.folder, fault)) != 0)
        return err;
    init_say_server(&(struct init_made){.json = wishes->json,
                                        .folder = wishes->folder,
                                        .server = &(struct init_half){server.folder, server.public},
                                        .own_keys = wishes->key_count > 0,
                                        .server_listen = wishes->server_listen});
    return 0;
}

static int make_edge(const struct init_wishes *wishes, struct fault *fault)
{
    struct half edge;
    struct buffer line = {0};
    int err;
    if ((err = make_half(&edge, wishes->folder, "certs", 0755, fault)) != 0 ||
        (err = copy_given(wishes->certs, wishes->cert_count, given_cert_copy, edge.keys, fault)) != 0 ||
        (err = write_edge_conf(wishes, &edge, wishes->key_server, wishes->server_key, false, fault)) != 0 ||
        (err = edge_line(&line, wishes, &edge, fault)) != 0 || (err = buffer_put(&line, "", 1)) != 0 ||
        (err = init_judge_edge(edge.folder, fault)) != 0) {
        buffer_clear(&line);
        return err;
    }
    init_say_edge(&(struct init_made){.json = wishes->json,
                                      .folder = wishes->folder,
                                      .edge = &(struct init_half){edge.folder, edge.public},
                                      .own_keys = wishes->cert_count > 0,
                                      .line = (const char *)buffer_bytes(&line)});
    buffer_clear(&line);
    return 0;
}

enum {
    SERVER = 1,
    EDGE,
    SERVER_LISTEN,
    EDGE_LISTEN,
    ORIGIN,
    HOST,
    NAME,
    KEY_SERVER,
    SERVER_KEY,
    USER,
    KEY,
    CERT,
    JSON
};

static const struct option options[] = {
    {"server", no_argument, NULL, SERVER},
    {"edge", no_argument, NULL, EDGE},
    {"server-listen", required_argument, NULL, SERVER_LISTEN},
    {"edge-listen", required_argument, NULL, EDGE_LISTEN},
    {"origin", required_argument, NULL, ORIGIN},
    {"host", required_argument, NULL, HOST},
    {"name", required_argument, NULL, NAME},
    {"key-server", required_argument, NULL, KEY_SERVER},
    {"server-key", required_argument, NULL, SERVER_KEY},
    {"user", required_argument, NULL, USER},
    {"key", required_argument, NULL, KEY},
    {"cert", required_argument, NULL, CERT},
    {"json", no_argument, NULL, JSON},
    {0},
};

/* Where the value of an option with a single value goes. */
static const char **single_value(struct init_wishes *wishes, int option)
{
    switch (option) {
    case SERVER_LISTEN:
        return &wishes->server_listen;
    case EDGE_LISTEN:
        return &wishes->edge_listen;
    case ORIGIN:
        return &wishes->origin;
    case HOST:
        return &wishes->host;
    case NAME:
        return &wishes->name;
    case KEY_SERVER:
        return &wishes->key_server;
    case SERVER_KEY:
        return &wishes->server_key;
    case USER:
        return &wishes->user;
    default:
        return NULL;
    }
}

static int read_wishes(struct init_wishes *wishes, int argc, char *argv[])
{
    int option;
    while ((option = cli_option(&cli_init, argc, argv, "", options)) != -1) {
        const char **value = single_value(wishes, option);
        if (value != NULL)
            *value = optarg;
        else if (option == SERVER)
            wishes->server = true;
        else if (option == EDGE)
            wishes->edge = true;
        else if (option == JSON)
            wishes->json = true;
        else if (option == KEY && wishes->key_count < INIT_WISHES_GIVEN_MAX)
            wishes->keys[wishes->key_count++] = optarg;
        else if (option == CERT && wishes->cert_count < INIT_WISHES_GIVEN_MAX)
            wishes->certs[wishes->cert_count++] = optarg;
        else
            return option == '?'
                       ? CLI_USAGE
                       : cli_usage(&cli_init, "more than %d keys or certificates", INIT_WISHES_GIVEN_MAX);
    }
    if (argc != optind + 1)
        return cli_usage(&cli_init, "name one folder");
    wishes->folder = argv[optind];
    return 0;
}

/* All or nothing: what was made before something went wrong is removed again, and a
 * signal that asks for the end waits until all is there. */
static int make_files(const struct init_wishes *wishes, struct fault *fault)
{
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, &before);
    int err = wishes->server ? make_server(wishes, fault)
              : wishes->edge ? make_edge(wishes, fault)
                             : make_trial(wishes, fault);
    if (err == 0)
        err = output_flush(fault);
    if (err != 0)
        files_undo();
    else if ((wishes->server || wishes->edge) && wishes->user == NULL && privileges_is_root())
        accounts_make(wishes->server ? INIT_CONF_SERVER_ACCOUNT : INIT_CONF_EDGE_ACCOUNT);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return err;
}

static int run_init(int argc, char *argv[])
{
    struct init_wishes wishes = {.server_listen = NULL,
                                 .edge_listen = NULL,
                                 .origin = "127.0.0.1:8080",
                                 .host = "localhost",
                                 .name = "edge1"};
    int result = read_wishes(&wishes, argc, argv);
    if (result != 0)
        return result;
    struct fault fault = {0};
    init_wishes_complete(&wishes);
    if (init_wishes_check(&wishes, &fault) != 0)
        return cli_usage(&cli_init, "%s", fault.text);
    int err = make_files(&wishes, &fault);
    if (err != 0)
        return cli_fail(&cli_init, cli_exit_of(err) == CLI_DONE ? CLI_FAILED : cli_exit_of(err), "%s",
                        fault.text[0] ? fault.text : err_string(err));
    return CLI_DONE;
}

const struct cli_verb cli_init = {
    .name = "init",
    .arguments = "[--server | --edge] [options] DIR",
    .summary = "Makes the files of a trial on one machine, or of one half of two machines.",
    .help = "A trial (both halves, with a test CA and RSA-2048, P-256 and Ed25519 certificates):\n"
            "  keyless init DIR\n"
            "    --host NAME            name in the certificates (localhost)\n"
            "    --key FILE --cert FILE given ones instead of test ones; repeatable\n"
            "One half each, for two machines:\n"
            "  keyless init --server [--key FILE…] DIR\n"
            "  keyless init --edge --key-server ADDRESS --server-key KEY [--cert FILE…] DIR\n"
            "    --name NAME            the edge's name in authorized_edges (edge1)\n"
            "Both:\n"
            "    --user NAME            whom the daemons become; as root, when left out: nobody for a\n"
            "                           trial, else keyless-server or keyless-edge, made if missing\n"
            "    --server-listen ADDR   where the key server listens (trial: 127.0.0.1:2407)\n"
            "    --edge-listen ADDR     where the edge listens (trial: 127.0.0.1:8443)\n"
            "    --origin ADDR          where pages come from (127.0.0.1:8080)\n"
            "    --json                 says where everything is as JSON; the edge's holds a secret\n\n"
            "Nothing is overwritten, and of an init that fails nothing is left.\n",
    .run = run_init,
};
