/* Options that edge.conf and server.conf have alike: the rows for their tables, and what is checked of them.
 *
 * CONFIG is the struct that a table fills. Its members are called as the options are, and its member `place`
 * keeps where `listen` and `admin` were set. Start-up only. */
#ifndef COMMON_DAEMON_OPTIONS_H
#define COMMON_DAEMON_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/log.h"

/* Of enum permissions_readers, NULL-ended like all of these. */
extern const char *const daemon_options_readers[];
extern const char *const daemon_options_sandboxes[]; /* of enum sandbox_mode */

#define DAEMON_OPTIONS_TEXT_OF(number) #number
#define DAEMON_OPTIONS_TEXT(number)    DAEMON_OPTIONS_TEXT_OF(number)

/* clang-format off */
#define DAEMON_OPTION_LISTEN(CONFIG, PORT, PEERS)                                                            \
    {.name = "listen", .type = CONFIG_STRINGS, .offset = offsetof(CONFIG, listen),                           \
     .place_offset = offsetof(CONFIG, place.listen), .fallback = "{\"*:" DAEMON_OPTIONS_TEXT(PORT) "\"}",    \
     .help = "Where " PEERS " connect: \"ADDRESS:PORT\" or \"unix:PATH\"; "                                  \
             "* is every address of this machine."}
#define DAEMON_OPTION_ADMIN(CONFIG, PORT)                                                                    \
    {.name = "admin", .type = CONFIG_STRING, .offset = offsetof(CONFIG, admin),                              \
     .place_offset = offsetof(CONFIG, place.admin), .fallback = "127.0.0.1:" DAEMON_OPTIONS_TEXT(PORT),      \
     .help = "Status and metrics, on loopback or a unix socket only; \"off\" for none."}
#define DAEMON_OPTION_IDENTITY(CONFIG, DAEMON)                                                               \
    {.name = "identity", .type = CONFIG_PATH, .offset = offsetof(CONFIG, identity),                          \
     .fallback = "identity.key",                                                                             \
     .help = "File with this " DAEMON "'s secret X25519 key; make it with: keyless genkey"}
#define DAEMON_OPTION_SECRET_FILES(CONFIG)                                                                   \
    {.name = "secret_files", .type = CONFIG_CHOICE, .offset = offsetof(CONFIG, secret_files),                \
     .fallback = "owner", .choices = daemon_options_readers,                                                 \
     .help = "Who may read the files with secrets: their owner alone, or also their group, "                 \
             "when it is this process's."}
#define DAEMON_OPTION_USER(CONFIG)                                                                           \
    {.name = "user", .type = CONFIG_STRING, .offset = offsetof(CONFIG, user),                                \
     .help = "User to become when started as root."}
#define DAEMON_OPTION_SANDBOX(CONFIG, WHO)                                                                   \
    {.name = "sandbox", .type = CONFIG_CHOICE, .offset = offsetof(CONFIG, sandbox), .fallback = "on",        \
     .choices = daemon_options_sandboxes,                                                                    \
     .help = "What becomes of system calls that " WHO " no use for: refused (on) or logged (log)."}
#define DAEMON_OPTION_LOG_LEVEL(CONFIG)                                                                      \
    {.name = "log_level", .type = CONFIG_CHOICE, .offset = offsetof(CONFIG, log_level), .fallback = "info",  \
     .choices = log_level_names,                                                                       \
     .help = "What is logged: error, warn, info or debug."}
#define DAEMON_OPTION_LOG_FORMAT(CONFIG)                                                                     \
    {.name = "log_format", .type = CONFIG_CHOICE, .offset = offsetof(CONFIG, log_format),                    \
     .fallback = "logfmt", .choices = log_format_names,                                                \
     .help = "How: logfmt or json."}
#define DAEMON_OPTION_ACCESS_LOG(CONFIG, HELP)                                                               \
    {.name = "access_log", .type = CONFIG_BOOL, .offset = offsetof(CONFIG, access_log), .fallback = "on",    \
     .help = HELP}
/* clang-format on */

/* From now on the daemon's files may be read by READERS (enum permissions_readers) and be those of USER, whom
 * it becomes as root; NULL: of nobody else. Then judges FILES, which its configuration was read from.
 * ERR_CONFIG. */
int daemon_options_judge_files(const struct config_files *files, int readers, const char *user,
                               struct fault *fault) MUST_USE;
/* Refuses what is well formed but means nothing: LISTEN without an address (a daemon's own is DEFAULT_PORT),
 * an empty ADMIN or USER (NULL: left out). ERR_CONFIG with a fault "FILE: …". */
int daemon_options_check(const char *file, const struct config_strings *listen, uint16_t default_port,
                         const char *admin, const char *user, struct fault *fault) MUST_USE;

#endif
