#include "keyserver/rules/server_config.h"

#include <stdio.h>
#include <string.h>

#include "common/channel_times.h"
#include "common/daemon_options.h"
#include "common/listening.h"
#include "common/permissions.h"
#include "keyserver/rules/policy.h"
#include "keyserver/rules/sealed.h"

#define FIELD(member) offsetof(struct server_config, member)
#define AUDIT(member) offsetof(struct server_audit, member)
#define HOUR          3600000
#define MINUTE        60000

static const char *const memories[] = {"locked", "unlocked", NULL};
static const char *const audit_syncs[] = {"interval", "always", NULL};
static const char *const audit_failures[] = {"refuse", "serve", NULL};

/* clang-format off */
static const struct config_option audit_table[] = {
    {.name = "folder", .type = CONFIG_PATH, .offset = AUDIT(folder), .fallback = "audit",
     .help = "Folder of the audit log; made at the first start."},
    {.name = "key", .type = CONFIG_PATH, .offset = AUDIT(key), .fallback = "audit.key",
     .help = "File with the secret Ed25519 key that signs the log; made at the first start."},
    {.name = "rotate_size", .type = CONFIG_SIZE, .offset = AUDIT(rotate_size), .fallback = "64M",
     .min = 65536, .max = 1L << 40,
     .help = "Size of a file at which the next one is begun."},
    {.name = "checkpoint", .type = CONFIG_DURATION, .offset = AUDIT(checkpoint), .fallback = "1s",
     .min = 100, .max = HOUR,
     .help = "Time between two signatures, as long as something is recorded."},
    {.name = "sync", .type = CONFIG_CHOICE, .offset = AUDIT(sync), .fallback = "interval",
     .choices = audit_syncs,
     .help = "When records are on the disk: at most a second later (interval), or before the answer (always)."},
    {.name = "on_failure", .type = CONFIG_CHOICE, .offset = AUDIT(on_failure), .fallback = "refuse",
     .choices = audit_failures,
     .help = "When uses cannot be recorded: refuse them, or serve and record how many there were."},
    {.name = NULL},
};

const struct config_option server_config_table[] = {
    DAEMON_OPTION_LISTEN(struct server_config, SERVER_DEFAULT_PORT, "edges"),
    DAEMON_OPTION_ADMIN(struct server_config, SERVER_ADMIN_DEFAULT_PORT),
    DAEMON_OPTION_IDENTITY(struct server_config, "server"),
    {.name = "authorized_edges", .type = CONFIG_PATH, .offset = FIELD(authorized_edges),
     .fallback = "authorized_edges",
     .help = "File that says which edges may connect, and what for."},
    {.name = "keys", .type = CONFIG_PATH, .offset = FIELD(keys), .fallback = "keys",
     .help = "Folder of the private TLS keys."},
    {.name = "group_secret", .type = CONFIG_PATH, .offset = FIELD(group_secret), .fallback = "group.secret",
     .help = "File with the secret that all replicas share; made at the first start."},
    DAEMON_OPTION_SECRET_FILES(struct server_config),
    DAEMON_OPTION_USER(struct server_config),
    {.name = "memory", .type = CONFIG_CHOICE, .offset = FIELD(memory), .fallback = "locked",
     .choices = memories,
     .help = "Whether keys that cannot be locked into memory are an error (locked) or used all the same (unlocked)."},
    DAEMON_OPTION_SANDBOX(struct server_config, "the processes have"),
    {.name = "workers", .type = CONFIG_INT, .offset = FIELD(workers), .fallback = "0", .min = 0, .max = 1024,
     .help = "Threads that compute; 0 is one per core."},
    {.name = "lanes", .type = CONFIG_BOOL, .offset = FIELD(lanes), .fallback = "on",
     .help = "Several private-key operations at once, where the processor can (AVX-512 IFMA)."},
    {.name = "queue_max", .type = CONFIG_INT, .offset = FIELD(queue_max), .fallback = "4096",
     .min = 1, .max = 1048576,
     .help = "Requests that may wait for a worker before the answer is busy."},
    {.name = "in_flight_per_edge", .type = CONFIG_INT, .offset = FIELD(in_flight_per_edge),
     .fallback = "4096", .min = 1, .max = 1048576,
     .help = "Requests of one edge that may be open, over all of its channels."},
    {.name = "epoch", .type = CONFIG_DURATION, .offset = FIELD(epoch), .fallback = "30s",
     .min = 1000, .max = HOUR,
     .help = "How long one epoch of bound mode lasts; the same in every replica."},
    {.name = "deadline_max", .type = CONFIG_DURATION, .offset = FIELD(deadline_max), .fallback = "10s",
     .min = 1, .max = MINUTE,
     .help = "Longest a request may wait, whatever the edge asks for."},
    {.name = "handshake_timeout", .type = CONFIG_DURATION, .offset = FIELD(handshake_timeout),
     .fallback = "5s", .min = 1, .max = 10 * MINUTE,
     .help = "A connection that is not authenticated by then is dropped."},
    {.name = "idle_timeout", .type = CONFIG_DURATION, .offset = FIELD(idle_timeout),
     .place_offset = FIELD(place.idle_timeout), .fallback = "1m", .min = 1, .max = 24 * HOUR,
     .help = "A channel without a message for so long is closed."},
    {.name = "drain_timeout", .type = CONFIG_DURATION, .offset = FIELD(drain_timeout), .fallback = "10s",
     .min = 0, .max = HOUR,
     .help = "From SIGTERM to the exit at the latest; open requests are answered in that time."},
    {.name = "half_open_max", .type = CONFIG_INT, .offset = FIELD(half_open_max), .fallback = "1024",
     .min = 1, .max = 1048576,
     .help = "Connections that are not authenticated yet, at once; the source with most loses its oldest."},
    {.name = "handshakes_per_second", .type = CONFIG_INT, .offset = FIELD(handshakes_per_second),
     .fallback = "50", .min = 0, .max = 1000000,
     .help = "Handshakes from one source address; 0 is no limit."},
    DAEMON_OPTION_LOG_LEVEL(struct server_config),
    DAEMON_OPTION_LOG_FORMAT(struct server_config),
    DAEMON_OPTION_ACCESS_LOG(struct server_config, "One line a use of a key, beside its record in the audit log."),
    {.name = "key_default", .type = CONFIG_SECTION, .offset = FIELD(key_default),
     .options = key_rules_default_table,
     .help = "What every key may be used for, unless its own section says otherwise: key NAME { … }."},
    {.name = "key", .type = CONFIG_SECTIONS, .offset = FIELD(key_sections), .options = key_rules_table,
     .size = sizeof(struct key_rules),
     .help = "The same of one key, by its file's name without extension, or its id in hex."},
    {.name = "audit", .type = CONFIG_SECTION, .offset = FIELD(audit), .options = audit_table,
     .help = "The record of every use of a key."},
    {.name = NULL},
};
/* clang-format on */

_Static_assert(SERVER_AUDIT_SYNC_INTERVAL == 0 && SERVER_AUDIT_SYNC_ALWAYS == 1 && SERVER_AUDIT_REFUSE == 0 &&
                   SERVER_AUDIT_SERVE == 1 && SERVER_MEMORY_LOCKED == 0 && SERVER_MEMORY_UNLOCKED == 1,
               "the choices stand in the order of the enums");

/* Compiles the keys' sections only to find faults early; who needs the policy compiles it again. */
static int check_policy(const struct server_config *config, const char *file, struct fault *fault)
{
    struct policy *policy;
    struct fault why = {.text = ""};
    int err = policy_new(&policy, &config->key_default, &config->key_sections, &why);
    policy_free(policy);
    return err == 0 ? 0 : fault_set(fault, err, "%s: %s", file, why.text);
}

static char file_read[4096];

const char *server_config_file(void)
{
    return file_read;
}

/* One of the two, so that nobody has to know which counts. */
static int check_passphrases(const struct server_config *config, const char *file, struct fault *fault)
{
    const struct key_rules *sections = config->key_sections.item, *both = NULL;
    if (config->key_default.passphrase_file != NULL && config->key_default.passphrase_credential != NULL)
        both = &config->key_default;
    for (size_t i = 0; i < config->key_sections.count && both == NULL; i++)
        if (sections[i].passphrase_file != NULL && sections[i].passphrase_credential != NULL)
            both = &sections[i];
    return both == NULL
               ? 0
               : fault_set(fault, ERR_CONFIG,
                           "%s: %s%s: has both passphrase_file and passphrase_credential; leave one out",
                           file, both->title != NULL ? "key " : "key_default",
                           both->title != NULL ? both->title : "");
}

static int check_lists(const struct server_config *config, struct fault *fault)
{
    const struct key_rules *sections = config->key_sections.item;
    int err = key_rules_check(&config->key_default, fault);
    for (size_t i = 0; err == 0 && i < config->key_sections.count; i++)
        err = key_rules_check(&sections[i], fault);
    return err;
}

/* How often edges ping is not theirs to choose. */
static int check_idle_timeout(const struct server_config *config, struct fault *fault)
{
    if (config->idle_timeout > CHANNEL_PING_MS)
        return 0;
    return fault_set(fault, ERR_CONFIG,
                     "%s: idle_timeout: edges ping a channel that has been quiet for %u s, and each would be "
                     "closed before its ping can come; give more than %u s, like the default of 1m",
                     config->place.idle_timeout, CHANNEL_PING_MS / 1000, CHANNEL_PING_MS / 1000);
}

static int check_config(const struct server_config *config, const char *file, struct fault *fault)
{
    int err = daemon_options_check(file, &config->listen, SERVER_DEFAULT_PORT, config->admin, config->user,
                                   fault);
    if (err == 0)
        err = check_passphrases(config, file, fault);
    if (err == 0)
        err = check_idle_timeout(config, fault);
    if (err == 0)
        err = check_lists(config, fault);
    return err != 0 ? err : check_policy(config, file, fault);
}

static int check_addresses(const struct server_config *config, const char *file, struct fault *fault)
{
    const struct listening_own listen = {file, "listen", config->place.listen, &config->listen,
                                         SERVER_DEFAULT_PORT};
    const struct listening_other admin = {.option = "admin",
                                          .place = config->place.admin,
                                          .text = config->admin,
                                          .default_port = SERVER_ADMIN_DEFAULT_PORT,
                                          .is_listened_at = true,
                                          .why = "edges connect there; ",
                                          .movable = "admin"};
    return listening_check_apart(&listen, &admin, fault);
}

/* Keys may have one passphrase together, but the file is for nothing else. */
static int check_passphrase_file(const struct server_config *config, const struct key_rules *section,
                                 const char *file, struct fault *fault)
{
    char option[sizeof "passphrase_file of key " + CONFIG_TITLE_MAX];
    const struct identity_file secrets[] = {{"identity", config->identity},
                                            {"group_secret", config->group_secret},
                                            {"key of audit { }", config->audit.key},
                                            {option, section->passphrase_file}};
    if (section->passphrase_file == NULL)
        return 0;
    snprintf(option, sizeof option, "passphrase_file of key%s%s", section->title != NULL ? " " : "_default",
             section->title != NULL ? section->title : "");
    return identity_check_apart(file, secrets, sizeof secrets / sizeof secrets[0], fault);
}

static int check_secrets(const struct server_config *config, const char *file, struct fault *fault)
{
    const struct identity_file secrets[] = {{"identity", config->identity},
                                            {"group_secret", config->group_secret},
                                            {"key of audit { }", config->audit.key}};
    const struct key_rules *sections = config->key_sections.item;
    int err = identity_check_apart(file, secrets, sizeof secrets / sizeof secrets[0], fault);
    if (err == 0)
        err = check_passphrase_file(config, &config->key_default, file, fault);
    for (size_t i = 0; err == 0 && i < config->key_sections.count; i++)
        err = check_passphrase_file(config, &sections[i], file, fault);
    return err;
}

/* Looks at files, which only who reads FILE itself can. */
static int check_files(const struct server_config *config, const char *file, struct fault *fault)
{
    int err = check_secrets(config, file, fault);
    return err != 0 ? err : check_addresses(config, file, fault);
}

int server_config_load(struct server_config *out, const char *file, struct fault *fault)
{
    struct config_files files = {.count = 0};
    snprintf(file_read, sizeof file_read, "%s", file);
    memset(out, 0, sizeof *out);
    int err = config_load(file, server_config_table, out, &files, fault);
    if (err == 0)
        err = daemon_options_judge_files(&files, out->secret_files, out->user, fault);
    if (err == 0)
        err = check_config(out, file, fault);
    if (err == 0)
        err = check_files(out, file, fault);
    config_files_clear(&files);
    if (err != 0)
        server_config_clear(out);
    return err;
}

int server_config_seal(const struct server_config *config)
{
    struct buffer text;
    buffer_init(&text);
    int fd = config_dump(server_config_table, config, &text);
    if (fd == 0)
        fd = sealed_make("server.conf", buffer_bytes(&text), buffer_length(&text));
    buffer_clear(&text);
    return fd;
}

/* NAME is for faults. Files were judged when it was sealed, and this process was forked by who had been told
 * whose they may be. */
static int load_sealed(struct server_config *out, int fd, const char *name, struct fault *fault)
{
    memset(out, 0, sizeof *out);
    int err = config_load_sealed(fd, name, server_config_table, out, fault);
    if (err != 0)
        return err;
    permissions_set_readers((enum permissions_readers)out->secret_files);
    err = check_config(out, name, fault);
    if (err != 0)
        server_config_clear(out);
    return err;
}

/* All paths in it are absolute: the file from which they were read may be gone, and so may its folder. What
 * is wrong is told of that file all the same. */
int server_config_load_sealed(struct server_config *out, int fd, struct fault *fault)
{
    static const char name[] = "/server.conf";
    int err = load_sealed(out, fd, name, fault);
    if (err != 0 && file_read[0] != 0 && strncmp(fault->text, name, sizeof name - 1) == 0) {
        const struct fault said = *fault;
        fault_set(fault, err, "%s%s", file_read, said.text + sizeof name - 1);
    }
    return err;
}

void server_config_clear(struct server_config *config)
{
    config_clear(server_config_table, config);
}
