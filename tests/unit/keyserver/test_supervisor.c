/* The key server as a whole, from its configuration file: both processes start, serve, are replaced when they
 * die or when keys change, and end in good order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "keyserver/supervisor/dry_run.h"
#include "keyserver/supervisor/supervisor.h"
#include "tests/unit/keyserver/edge_peer.h"

#define LOG_SIZE 65536

struct fixture {
    char folder[64];
    char file[128]; /* the configuration */
    struct identity server, edge;
    uint8_t psk[32];
    pid_t pid, net, vault;
    int log_fd; /* what it says */
    char log[LOG_SIZE];
    size_t log_length;
    size_t log_seen; /* everything before it was waited for */
    struct address listen;
};

/* ---- files ---- */

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void add_key(const struct fixture *f, const char *name)
{
    run("umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s/keys/%s.key "
        "2>/dev/null",
        f->folder, name);
}

/* Who starts it as root says so: these tests are about processes, not about who they become. */
static void write_config(const struct fixture *f)
{
    char text[512];
    snprintf(text, sizeof text,
             "listen = { \"127.0.0.1:0\" }\nadmin = \"off\"\nidentity = \"identity\"\n"
             "authorized_edges = \"authorized_edges\"\nkeys = \"keys\"\ngroup_secret = \"group.secret\"\n"
             "workers = 2\nlog_level = info\nmemory = unlocked\n%s",
             geteuid() == 0 ? "user = \"root\"\n" : "");
    write_file(f, "server.conf", text);
}

static void make_files(struct fixture *f)
{
    char path[128], line[256], key[IDENTITY_TEXT_SIZE], psk[IDENTITY_TEXT_SIZE];
    struct fault fault;

    strcpy(f->folder, "/tmp/test_supervisor.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    identity_generate(&f->server);
    identity_generate(&f->edge);
    random_bytes(f->psk, sizeof f->psk);
    snprintf(path, sizeof path, "%s/identity", f->folder);
    assert_int_equal(identity_save_secret(path, f->server.secret, &fault), 0);
    base64_encode(key, f->edge.public, 32);
    base64_encode(psk, f->psk, 32);
    snprintf(line, sizeof line, "%s edge psk=%s\n", key, psk);
    write_file(f, "authorized_edges", line);
    snprintf(path, sizeof path, "%s/keys", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    add_key(f, "one");
    write_config(f);
    snprintf(f->file, sizeof f->file, "%s/server.conf", f->folder);
}

/* ---- the process ---- */

/* The first line after those already waited for that contains EVENT; it stays valid. */
static const char *wait_for(struct fixture *f, const char *event)
{
    uint64_t until = clock_ms() + EDGE_PATIENCE_MS;

    for (;;) {
        char *line = f->log + f->log_seen, *end;
        while ((end = strchr(line, '\n')) != NULL) {
            char *found = strstr(line, event);
            if (found != NULL && found < end) {
                f->log_seen = (size_t)(end + 1 - f->log);
                return found;
            }
            line = end + 1;
        }
        if (clock_ms() > until || f->log_length > LOG_SIZE - 4096) {
            fputs(f->log, stderr); /* longer than a message of cmocka may be */
            fail_msg("no %s within %d ms; the log is above", event, EDGE_PATIENCE_MS);
        }
        struct pollfd fd = {.fd = f->log_fd, .events = POLLIN};
        if (poll(&fd, 1, 100) == 1) {
            ssize_t n = read(f->log_fd, f->log + f->log_length, 4095);
            if (n > 0)
                f->log_length += (size_t)n;
        }
    }
}

static pid_t pid_in(const char *line)
{
    const char *at = strstr(line, "pid=");
    assert_non_null(at);
    return (pid_t)strtol(at + 4, NULL, 10);
}

static void start(struct fixture *f)
{
    struct server_config config;
    struct fault fault = {.text = ""};
    int log[2];

    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        dup2(log[1], STDERR_FILENO);
        if (server_config_load(&config, f->file, &fault) != 0)
            _exit(2);
        log_init("keyless-server", LOG_INFO, LOG_LOGFMT);
        log_leave(supervisor_run(&config, f->file));
    }
    close(log[1]);
    f->log_fd = log[0];
}

static void start_and_wait(struct fixture *f)
{
    char text[ADDRESS_TEXT_SIZE];
    struct fault fault;

    start(f);
    assert_int_equal(sscanf(wait_for(f, "event=listening"), "event=listening address=%127s", text), 1);
    assert_int_equal(address_parse(&f->listen, text, 0, &fault), 0);
    f->net = pid_in(wait_for(f, "event=child_started role=net"));
    f->vault = pid_in(wait_for(f, "event=child_started role=vault"));
    wait_for(f, "event=ready");
}

static int wait_for_end(struct fixture *f)
{
    int status;

    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(secret_init(), 0);
    f->log_fd = -1;
    make_files(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        wait_for_end(f);
    }
    if (f->log_fd >= 0)
        close(f->log_fd);
    run("rm -r %s", f->folder);
    free(f);
    return 0;
}

static void connect_edge(struct fixture *f, struct test_edge *edge)
{
    edge_connect(edge, &f->listen, &f->edge, f->server.public, f->psk);
}

/* Asks which keys there are and has the first one sign; ID must be new. Returns how many keys there are. */
static size_t use(struct test_edge *edge, uint64_t id)
{
    edge->key_count = 0;
    edge_ask(edge, OP_KEYS, NULL, id, 1, 5000);
    EDGE_UNTIL(edge, edge_answer(edge, id) != NULL);
    assert_int_equal(edge_answer(edge, id)->outcome.status, STATUS_OK);
    assert_true(edge->key_count > 0);
    edge_ask(edge, OP_SIGN_TLS13, edge->keys[0].key_id, id + 1, 1, 5000);
    EDGE_UNTIL(edge, edge_answer(edge, id + 1) != NULL);
    assert_int_equal(edge_answer(edge, id + 1)->outcome.status, STATUS_OK);
    assert_in_range(edge_answer(edge, id + 1)->outcome.length, 64, 72); /* DER of two P-256 integers */
    return edge->key_count;
}

/* ---- tests ---- */

static void it_starts_signs_drains_and_ends_with_0(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    start_and_wait(f);
    connect_edge(f, &edge);
    assert_int_equal(use(&edge, 1), 1);
    kill(f->pid, SIGTERM);
    EDGE_UNTIL(&edge, edge.closed);
    assert_int_equal(edge.why, ERR_CLOSED);
    edge_end(&edge);
    assert_int_equal(wait_for_end(f), 0);
    wait_for(f, "event=stopped");
}

static void a_killed_vault_is_replaced_and_channels_stay(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    start_and_wait(f);
    connect_edge(f, &edge);
    use(&edge, 1);
    for (uint64_t round = 1; round <= 2; round++) {
        kill(f->vault, SIGKILL);
        wait_for(f, "event=child_died role=vault");
        f->vault = pid_in(wait_for(f, "event=vault_ready cause=restart"));
        /* the net process may be told a moment later */
        edge_ask(&edge, OP_PING, NULL, round * 100, 1, 1000);
        EDGE_UNTIL(&edge, edge_answer(&edge, round * 100) != NULL);
        use(&edge, round * 100 + 1);
    }
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(wait_for_end(f), 0);
}

static void a_killed_net_process_is_replaced_on_the_same_port(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    start_and_wait(f);
    connect_edge(f, &edge);
    kill(f->net, SIGKILL);
    EDGE_UNTIL(&edge, edge.closed);
    assert_int_equal(edge.why, ERR_CUT);
    edge_end(&edge);
    wait_for(f, "event=child_died role=net");
    wait_for(f, "event=vault_ready cause=restart");
    connect_edge(f, &edge);
    use(&edge, 1);
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(wait_for_end(f), 0);
}

static void a_reload_brings_new_keys_to_open_channels(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    start_and_wait(f);
    connect_edge(f, &edge);
    assert_int_equal(use(&edge, 1), 1);
    add_key(f, "two");
    kill(f->pid, SIGHUP);
    wait_for(f, "event=vault_ready cause=reload");
    edge_ask(&edge, OP_PING, NULL, 10, 1, 1000);
    EDGE_UNTIL(&edge, edge_answer(&edge, 10) != NULL);
    assert_int_equal(use(&edge, 11), 2);
    wait_for(f, "event=child_ended role=vault");
    use(&edge, 21);
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(wait_for_end(f), 0);
}

static void a_reload_that_fails_leaves_the_old_vault(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    start_and_wait(f);
    connect_edge(f, &edge);
    write_file(f, "server.conf", "listne = { \"127.0.0.1:0\" }\n");
    kill(f->pid, SIGHUP);
    wait_for(f, "event=reload_failed");
    use(&edge, 1);
    write_config(f);
    write_file(f, "authorized_edges", "not a line\n");
    kill(f->pid, SIGHUP);
    wait_for(f, "event=reload_failed");
    use(&edge, 11);
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(wait_for_end(f), 0);
}

static void a_second_signal_ends_at_once_with_1(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    start_and_wait(f);
    connect_edge(f, &edge);
    use(&edge, 1);
    kill(f->vault, SIGSTOP); /* so that something stays open */
    edge_ask(&edge, OP_KEYS, NULL, 10, 1, 5000);
    edge_ask(&edge, OP_PING, NULL, 11, 1, 5000);
    EDGE_UNTIL(&edge, edge_answer(&edge, 11) != NULL);
    kill(f->pid, SIGTERM);
    wait_for(f, "event=draining open=1");
    kill(f->pid, SIGINT);
    assert_int_equal(wait_for_end(f), 1);
    EDGE_UNTIL(&edge, edge.closed);
    edge_end(&edge);
}

static void a_stop_while_keys_are_loaded_is_no_error(void **state)
{
    struct fixture *f = *state;
    const char *started;

    start_and_wait(f);
    started = strstr(f->log, "event=child_started role=loader");
    assert_non_null(started);
    kill(pid_in(started), SIGSTOP); /* so that it is still loading */
    kill(f->pid, SIGHUP);
    wait_for(f, "event=reloading");
    kill(f->pid, SIGTERM);
    wait_for(f, "event=child_ended role=loader");
    wait_for(f, "event=stopped status=0");
    assert_null(strstr(f->log, "child_died"));
    assert_int_equal(wait_for_end(f), 0);
}

static void what_cannot_be_loaded_at_the_start_ends_it_with_2(void **state)
{
    struct fixture *f = *state;

    write_file(f, "authorized_edges", "not a line\n");
    start(f);
    assert_int_equal(wait_for_end(f), 2);
}

static void its_children_do_not_outlive_it(void **state)
{
    struct fixture *f = *state;
    char byte;

    start_and_wait(f);
    kill(f->pid, SIGKILL);
    assert_int_equal(wait_for_end(f), 128 + SIGKILL);
    uint64_t until = clock_ms() + EDGE_PATIENCE_MS;
    ssize_t n;
    do { /* the log's other end closes with the last of them */
        assert_true(clock_ms() < until);
        poll(&(struct pollfd){.fd = f->log_fd, .events = POLLIN}, 1, 100);
        n = read(f->log_fd, &byte, 1);
    } while (n > 0);
    assert_int_equal(n, 0);
}

static int trial(const struct fixture *f)
{
    struct server_config config;
    struct fault fault;

    if (server_config_load(&config, f->file, &fault) != 0)
        return 2;
    int status = dry_run(&config, f->file);
    server_config_clear(&config);
    return status;
}

static void the_trial_tells_good_files_from_bad_ones(void **state)
{
    struct fixture *f = *state;

    log_init("trial", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(trial(f), 0);
    write_file(f, "keys/bad.key", "not a key\n");
    assert_int_equal(trial(f), 2);
    run("rm %s/keys/bad.key", f->folder);
    assert_int_equal(trial(f), 0);
    run("chmod 0644 %s/identity", f->folder);
    assert_int_equal(trial(f), 2);
    run("chmod 0400 %s/identity; rm %s/keys/*", f->folder, f->folder);
    assert_int_equal(trial(f), 2);
}

#define RUN_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TEST(it_starts_signs_drains_and_ends_with_0),
        RUN_TEST(a_killed_vault_is_replaced_and_channels_stay),
        RUN_TEST(a_killed_net_process_is_replaced_on_the_same_port),
        RUN_TEST(a_reload_brings_new_keys_to_open_channels),
        RUN_TEST(a_reload_that_fails_leaves_the_old_vault),
        RUN_TEST(a_second_signal_ends_at_once_with_1),
        RUN_TEST(a_stop_while_keys_are_loaded_is_no_error),
        RUN_TEST(what_cannot_be_loaded_at_the_start_ends_it_with_2),
        RUN_TEST(its_children_do_not_outlive_it),
        RUN_TEST(the_trial_tells_good_files_from_bad_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
