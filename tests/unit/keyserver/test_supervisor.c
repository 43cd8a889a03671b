/* The key server as a whole, from its configuration file: both processes start, serve, are replaced when they
 * die or when keys change, and end in good order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "common/log.h"
#include "keyserver/supervisor/dry_run.h"
#include "tests/unit/keyserver/edge_peer.h"
#include "tests/unit/keyserver/supervisor_rig.h"

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

    rig_start_and_wait(f);
    connect_edge(f, &edge);
    assert_int_equal(use(&edge, 1), 1);
    kill(f->pid, SIGTERM);
    EDGE_UNTIL(&edge, edge.closed);
    assert_int_equal(edge.why, ERR_CLOSED);
    edge_end(&edge);
    assert_int_equal(rig_wait_for_end(f), 0);
    rig_wait_for(f, "event=stopped");
}

static void a_killed_vault_is_replaced_and_channels_stay(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    rig_start_and_wait(f);
    connect_edge(f, &edge);
    use(&edge, 1);
    for (uint64_t round = 1; round <= 2; round++) {
        kill(f->vault, SIGKILL);
        rig_wait_for(f, "event=child_died role=vault");
        f->vault = rig_pid_in(rig_wait_for(f, "event=vault_ready cause=restart"));
        /* the net process may be told a moment later */
        edge_ask(&edge, OP_PING, NULL, round * 100, 1, 1000);
        EDGE_UNTIL(&edge, edge_answer(&edge, round * 100) != NULL);
        use(&edge, round * 100 + 1);
    }
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 0);
}

static void a_killed_net_process_is_replaced_on_the_same_port(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    rig_start_and_wait(f);
    connect_edge(f, &edge);
    kill(f->net, SIGKILL);
    EDGE_UNTIL(&edge, edge.closed);
    assert_int_equal(edge.why, ERR_CUT);
    edge_end(&edge);
    rig_wait_for(f, "event=child_died role=net");
    rig_wait_for(f, "event=vault_ready cause=restart");
    connect_edge(f, &edge);
    use(&edge, 1);
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 0);
}

static void a_reload_brings_new_keys_to_open_channels(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    rig_start_and_wait(f);
    connect_edge(f, &edge);
    assert_int_equal(use(&edge, 1), 1);
    rig_add_key(f, "two");
    kill(f->pid, SIGHUP);
    rig_wait_for(f, "event=vault_ready cause=reload");
    edge_ask(&edge, OP_PING, NULL, 10, 1, 1000);
    EDGE_UNTIL(&edge, edge_answer(&edge, 10) != NULL);
    assert_int_equal(use(&edge, 11), 2);
    rig_wait_for(f, "event=child_ended role=vault");
    use(&edge, 21);
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 0);
}

static void a_reload_that_fails_leaves_the_old_vault(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    rig_start_and_wait(f);
    connect_edge(f, &edge);
    rig_write(f, "server.conf", "listne = { \"127.0.0.1:0\" }\n");
    kill(f->pid, SIGHUP);
    rig_wait_for(f, "event=reload_failed");
    use(&edge, 1);
    rig_write_config(f, "");
    rig_write(f, "authorized_edges", "not a line\n");
    kill(f->pid, SIGHUP);
    rig_wait_for(f, "event=reload_failed");
    use(&edge, 11);
    edge_end(&edge);
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 0);
}

static void a_second_signal_ends_at_once_with_1(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    rig_start_and_wait(f);
    connect_edge(f, &edge);
    use(&edge, 1);
    kill(f->vault, SIGSTOP); /* so that something stays open */
    edge_ask(&edge, OP_KEYS, NULL, 10, 1, 5000);
    edge_ask(&edge, OP_PING, NULL, 11, 1, 5000);
    EDGE_UNTIL(&edge, edge_answer(&edge, 11) != NULL);
    kill(f->pid, SIGTERM);
    rig_wait_for(f, "event=draining open=1");
    kill(f->pid, SIGINT);
    assert_int_equal(rig_wait_for_end(f), 1);
    EDGE_UNTIL(&edge, edge.closed);
    edge_end(&edge);
}

static void a_stop_while_keys_are_loaded_is_no_error(void **state)
{
    struct fixture *f = *state;
    const char *started;

    rig_start_and_wait(f);
    started = strstr(f->log, "event=child_started role=loader");
    assert_non_null(started);
    kill(rig_pid_in(started), SIGSTOP); /* so that it is still loading */
    kill(f->pid, SIGHUP);
    rig_wait_for(f, "event=reloading");
    kill(f->pid, SIGTERM);
    rig_wait_for(f, "event=child_ended role=loader");
    rig_wait_for(f, "event=stopped status=0");
    assert_null(strstr(f->log, "child_died"));
    assert_int_equal(rig_wait_for_end(f), 0);
}

static void what_cannot_be_loaded_at_the_start_ends_it_with_2(void **state)
{
    struct fixture *f = *state;

    rig_write(f, "authorized_edges", "not a line\n");
    rig_start(f);
    assert_int_equal(rig_wait_for_end(f), 2);
}

static void its_children_do_not_outlive_it(void **state)
{
    struct fixture *f = *state;
    char byte;

    rig_start_and_wait(f);
    kill(f->pid, SIGKILL);
    assert_int_equal(rig_wait_for_end(f), 128 + SIGKILL);
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
    rig_write(f, "keys/bad.key", "not a key\n");
    assert_int_equal(trial(f), 2);
    rig_run("rm %s/keys/bad.key", f->folder);
    assert_int_equal(trial(f), 0);
    rig_run("chmod 0644 %s/identity", f->folder);
    assert_int_equal(trial(f), 2);
    rig_run("chmod 0400 %s/identity; rm %s/keys/*", f->folder, f->folder);
    assert_int_equal(trial(f), 2);
}

#define RUN_TEST(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

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
