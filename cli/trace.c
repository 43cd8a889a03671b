/* keyless trace: the steps of one handshake through a running edge, and beside it the same with a local key.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/trace_local.h"
#include "cli/trace_print.h"
#include "cli/trace_tls.h"
#include "common/address.h"
#include "common/admin.h"
#include "common/clock.h"
#include "common/plain_file.h"
#include "common/process.h"

#define ADMIN_ADDRESS   "127.0.0.1:2405"
#define TIMEOUT_SECONDS 15
#define PEM_FILE_MAX    (16 << 20) /* the bundles of all public authorities are far smaller */
#define LOOK_TRIES      50         /* for the edge to write down that the connection ended; 20 ms each */

struct wishes {
    struct trace_target target;
    char host[256];
    char path[1024];
    char port[8];
    const char *connect;
    const char *admin;
    const char *local_key, *local_cert;
    const char *version;
    bool json;
};

/* https://HOST[:PORT][/PATH] into its parts. */
static int take_url(struct wishes *wishes, const char *url)
{
    if (strncmp(url, "https://", 8) != 0)
        return cli_usage(&cli_trace, "'%s' does not begin with https://", url);
    const char *host = url + 8;
    size_t host_length = strcspn(host, ":/");
    const char *rest = host + host_length;
    snprintf(wishes->port, sizeof wishes->port, "443");
    if (*rest == ':') {
        size_t digits = strspn(rest + 1, "0123456789");
        snprintf(wishes->port, sizeof wishes->port, "%.*s", (int)digits, rest + 1);
        rest += 1 + digits;
    }
    if (host_length == 0 || host_length >= sizeof wishes->host || (*rest != '/' && *rest != 0) ||
        strlen(rest) >= sizeof wishes->path)
        return cli_usage(&cli_trace, "'%s' is not of the form https://HOST[:PORT][/PATH]", url);
    snprintf(wishes->host, sizeof wishes->host, "%.*s", (int)host_length, host);
    snprintf(wishes->path, sizeof wishes->path, "%s", *rest == 0 ? "/" : rest);
    wishes->target.host = wishes->host;
    wishes->target.path = wishes->path;
    return 0;
}

static int connect_to(const struct wishes *wishes, struct trace_run *run)
{
    char text[300];
    struct address address;
    snprintf(text, sizeof text, "%s:%s", wishes->host, wishes->port);
    int err = address_parse(&address, wishes->connect != NULL ? wishes->connect : text, 443, &run->fault);
    if (err != 0)
        return err;
    uint64_t begun = clock_ns();
    int fd = socket(address.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = TIMEOUT_SECONDS};
    int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, &address.u.any, address.length) != 0) {
        err = fault_set(&run->fault, ERR_CUT, "%s: %s", wishes->connect != NULL ? wishes->connect : text,
                        strerror(errno));
        if (fd >= 0)
            close(fd);
        return err;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    run->began_ns = clock_ns();
    run->connect_ns = run->began_ns - begun;
    return fd;
}

/* What the edge has noted about this handshake; NULL when it cannot be had. The caller owns it. */
static json_t *ask_edge(const struct wishes *wishes, const struct trace_run *run)
{
    char path[16 + 2 * TLS_RANDOM_SIZE], random[2 * TLS_RANDOM_SIZE + 1];
    struct address address;
    json_t *found = NULL;
    if (address_parse(&address, wishes->admin, 2405, NULL) != 0)
        return NULL;
    snprintf(path, sizeof path, "/trace/%s", hex_encode(random, run->client_random, TLS_RANDOM_SIZE));
    for (int i = 0; i < LOOK_TRIES; i++) {
        struct buffer body = {0};
        int status = admin_get(&address, path, 2000, &body);
        json_decref(found);
        found = status == 200 ? json_loadb((const char *)buffer_bytes(&body), buffer_length(&body),
                                           JSON_REJECT_DUPLICATES, NULL)
                              : NULL;
        buffer_clear(&body);
        if (status < 0 || json_is_integer(json_object_get(json_object_get(found, "ns"), "closed")))
            break;
        poll(NULL, 0, 20);
    }
    return found;
}

/* The same as FAR has negotiated, where it has. */
static int run_local(const struct wishes *wishes, const struct trace_run *far, struct trace_run *run,
                     struct trace_local *local)
{
    int pair[2];
    pthread_t thread;
    struct trace_target target = wishes->target;
    target.path = NULL;
    target.insecure = true;
    if (far->version != 0) {
        target.version = far->version;
        target.cipher = far->suite;
    }
    *local = (struct trace_local){.key_file = wishes->local_key, .cert_file = wishes->local_cert};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fault_set(&run->fault, ERR_SYSTEM, "socketpair: %s", strerror(errno));
    local->fd = pair[1];
    if (process_start_thread(&thread, PROCESS_STACK_SIZE, trace_local_serve, local) != 0) {
        int err = process_fail(&run->fault, "cannot start the thread of the local server");
        close(pair[0]);
        close(pair[1]);
        return err;
    }
    run->began_ns = clock_ns();
    int err = trace_tls_run(run, &target, pair[0]);
    pthread_join(thread, NULL);
    if (local->result != 0)
        return fault_set(&run->fault, local->result, "%s", local->fault.text);
    return err;
}

enum { CA = 1, INSECURE, CONNECT, ADMIN, LOCAL_KEY, LOCAL_CERT, CIPHER, TLS, JSON };

static const struct option options[] = {
    {"ca", required_argument, NULL, CA},
    {"insecure", no_argument, NULL, INSECURE},
    {"connect", required_argument, NULL, CONNECT},
    {"admin", required_argument, NULL, ADMIN},
    {"local-key", required_argument, NULL, LOCAL_KEY},
    {"local-cert", required_argument, NULL, LOCAL_CERT},
    {"cipher", required_argument, NULL, CIPHER},
    {"tls", required_argument, NULL, TLS},
    {"json", no_argument, NULL, JSON},
    {0},
};

/* The version of TLS: as named, or that of the suites that are; otherwise the edge chooses. */
static int take_version(struct wishes *wishes)
{
    struct trace_target *target = &wishes->target;
    if (target->cipher != NULL)
        target->version = strncmp(target->cipher, "TLS_", 4) == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (wishes->version != NULL && strcmp(wishes->version, "1.2") != 0 && strcmp(wishes->version, "1.3") != 0)
        return cli_usage(&cli_trace, "--tls %s: is neither 1.2 nor 1.3", wishes->version);
    int named = wishes->version == NULL     ? target->version
                : wishes->version[2] == '3' ? TLS1_3_VERSION
                                            : TLS1_2_VERSION;
    if (target->cipher != NULL && named != target->version)
        return cli_usage(&cli_trace, "--cipher %s: names suites of another version than --tls %s",
                         target->cipher, wishes->version);
    target->version = named;
    return 0;
}

static int check_file(const char *file)
{
    struct stat info = {.st_size = 0};
    const char *why;
    int fd = plain_file_open(file, PLAIN_FILE_OR_GIVEN, &why);
    if (fd == ERR_CONFIG)
        return cli_fail(&cli_trace, CLI_USAGE, "%s: cannot be read: %s", file, why);
    if (fd < 0)
        return 0; /* OpenSSL says so */
    bool known = fstat(fd, &info) == 0;
    close(fd);
    return known && info.st_size > PEM_FILE_MAX
               ? cli_fail(&cli_trace, CLI_USAGE, "%s: larger than %d MiB; is it a key or certificates?", file,
                          PEM_FILE_MAX >> 20)
               : 0;
}

/* OpenSSL opens them. It would wait for whoever writes to a FIFO, and read a file of any size to its end. */
static int check_files(const struct wishes *wishes)
{
    const char *const files[] = {wishes->target.ca, wishes->local_key, wishes->local_cert};
    int result = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && result == 0; i++)
        result = files[i] != NULL ? check_file(files[i]) : 0;
    return result;
}

static int read_wishes(struct wishes *wishes, int argc, char *argv[])
{
    const char **text[] = {[CA] = &wishes->target.ca,
                           [CONNECT] = &wishes->connect,
                           [ADMIN] = &wishes->admin,
                           [LOCAL_KEY] = &wishes->local_key,
                           [LOCAL_CERT] = &wishes->local_cert,
                           [CIPHER] = &wishes->target.cipher,
                           [TLS] = &wishes->version};
    int option;
    while ((option = cli_option(&cli_trace, argc, argv, "", options)) != -1) {
        if (option == '?')
            return CLI_USAGE;
        if (option == INSECURE)
            wishes->target.insecure = true;
        else if (option == JSON)
            wishes->json = true;
        else
            *text[option] = optarg;
    }
    if (argc != optind + 1)
        return cli_usage(&cli_trace, "name one URL");
    if ((wishes->local_key == NULL) != (wishes->local_cert == NULL))
        return cli_usage(
            &cli_trace,
            "--local-key needs --local-cert, the certificate chain of that key, and the other way round");
    int result = check_files(wishes);
    if (result == 0)
        result = take_version(wishes);
    return result != 0 ? result : take_url(wishes, argv[optind]);
}

static void print_both(const struct wishes *wishes, const struct trace_run *far, const json_t *edge,
                       const struct trace_run *near, const struct trace_local *local)
{
    if (!wishes->json) {
        trace_print_steps(stdout, cli_colour(), far, edge, NULL);
        if (wishes->local_key != NULL) {
            printf("\nThe same with the key in the server, in this process:\n");
            trace_print_steps(stdout, cli_colour(), near, NULL, local);
        }
        return;
    }
    json_t *all = trace_print_json(far, edge, NULL);
    if (wishes->local_key != NULL)
        json_object_set_new(all, "local", trace_print_json(near, NULL, local));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static int run_trace(int argc, char *argv[])
{
    struct wishes wishes = {.admin = ADMIN_ADDRESS};
    struct trace_run far = {0}, near = {0};
    struct trace_local local = {0};
    int result = read_wishes(&wishes, argc, argv);
    if (result != 0)
        return result;
    int fd = connect_to(&wishes, &far);
    int err = fd < 0 ? fd : trace_tls_run(&far, &wishes.target, fd);
    json_t *edge = fd < 0 || err != 0 ? NULL : ask_edge(&wishes, &far);
    int local_err = wishes.local_key != NULL ? run_local(&wishes, &far, &near, &local) : 0;
    if (fd >= 0)
        print_both(&wishes, &far, edge, &near, &local);
    json_decref(edge);
    if (err != 0)
        return cli_fail(&cli_trace, cli_exit_of(err), "%s", far.fault.text);
    if (local_err != 0)
        return cli_fail(&cli_trace, cli_exit_of(local_err), "%s", near.fault.text);
    return CLI_DONE;
}

const struct cli_verb cli_trace = {
    .name = "trace",
    .arguments = "[options] https://HOST[:PORT][/PATH]",
    .summary = "Shows the steps of one handshake through an edge, with the round trip to the key server.",
    .help = "  --connect ADDR      connect there instead of to HOST\n"
            "  --ca FILE           trusted root certificates\n"
            "  --insecure          do not verify the certificate\n"
            "  --admin ADDR        the edge's admin endpoint (127.0.0.1:2405), for that round trip\n"
            "  --tls VERSION       1.2 or 1.3 only (what the edge chooses)\n"
            "  --cipher LIST       OpenSSL cipher list, such as ECDHE, or kRSA for RSA key exchange\n"
            "  --local-key FILE --local-cert FILE\n"
            "                      beside it the same handshake with a server that has the key\n"
            "  --json\n",
    .run = run_trace,
};
