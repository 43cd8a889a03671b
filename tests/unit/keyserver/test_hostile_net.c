/* A net process that somebody has taken over: it keeps the wall of the vault before a reload, or lets no
 * vault take over. In its place a process of these tests runs, under a real supervisor with real vaults. */
#define net_run net_run_honest
#include "keyserver/net/net.c"
#undef net_run

#include "tests/unit/keyserver/edge_peer.h"
#include "tests/unit/keyserver/supervisor_rig.h"
#include "tests/unit/keyserver/wall_rig.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ASK_MS   50
#define GRACE_MS 5000 /* past deadline_max, which these tests set to next to nothing */
#define CONFIG   "deadline_max = 100ms\n"

enum conduct {
    HONEST,
    KEEPS_THE_FIRST_WALL, /* and asks there as the edge, for ever */
    CLOSES_CONTROL,       /* once it has the first wall */
    TAKES_NOTHING,
};

/* Shared with the processes of the key server. */
static struct shared {
    enum conduct next; /* of the net process that is started next; the one after it is honest */
    uint8_t edge_key[IDENTITY_KEY_SIZE];
    _Atomic unsigned answered; /* lists of keys that the first vault has given */
    _Atomic bool done;         /* its wall is cut, and all that lay in it is counted; or control is closed */
} * shared;

/* ---- the net process ---- */

static void ask_vault(struct wall *wall, uint64_t token)
{
    struct wall_request slot = {.token = token,
                                .deadline_ns = clock_ns() + 1000000000u,
                                .kind = WALL_OPERATION,
                                .no_trace = 1,
                                .no_key_id = 1,
                                .operation.kind = OP_KEYS};
    memcpy(slot.edge_key, shared->edge_key, sizeof slot.edge_key);
    (void)!wall_send_requests(wall, &slot, 1);
}

static void take_answers(struct wall *wall)
{
    static struct wall_answer answers[WALL_BATCH_MAX];
    int count;

    while ((count = wall_receive_answers(wall, answers, WALL_BATCH_MAX)) > 0)
        for (int i = 0; i < count; i++)
            shared->answered += answers[i].kind == WALL_KEYS && answers[i].u.keys.count > 0;
    shared->done = count == ERR_CUT;
}

/* Takes what the supervisor sends, so that nothing seems wrong, and asks the first vault. */
static _Noreturn void keep_the_first_wall(int control)
{
    struct control_message message;
    struct wall wall = {.fd = -1};
    int passed;

    for (uint64_t token = 1;; token++) {
        while (control_receive(control, &message, &passed) == 0)
            if (message.kind == CONTROL_WALL && (control_send(control, CONTROL_TAKEN, 0, -1) != 0 ||
                                                 (wall.fd < 0 && wall_adopt(&wall, passed) != 0)))
                _exit(71);
        if (wall.fd >= 0) {
            ask_vault(&wall, token);
            (void)wall_rig_wait(&wall, WALL_SLOTS, ASK_MS);
            take_answers(&wall);
        }
        poll(NULL, 0, ASK_MS);
    }
}

static _Noreturn void close_control(int control)
{
    struct control_message message = {.kind = 0};
    int passed;

    while (control_receive(control, &message, &passed) != 0 || message.kind != CONTROL_WALL)
        poll(NULL, 0, 1);
    close(control);
    shared->done = true;
    for (;;)
        poll(NULL, 0, ASK_MS);
}

int net_run(const struct server_config *config, const struct net_descriptors *fds) MUST_USE;
int net_run(const struct server_config *config, const struct net_descriptors *fds)
{
    enum conduct conduct = shared->next;

    shared->next = HONEST;
    if (conduct == HONEST)
        return net_run_honest(config, fds);
    if (control_send(fds->control, CONTROL_STARTED, 0, -1) != 0)
        _exit(71);
    if (conduct == CLOSES_CONTROL)
        close_control(fds->control);
    while (conduct == TAKES_NOTHING)
        poll(NULL, 0, ASK_MS);
    keep_the_first_wall(fds->control);
}

/* ---- the tests ---- */

static struct fixture *begin_hostile(void **state, enum conduct conduct)
{
    struct fixture *f = *state;

    rig_write_config(f, CONFIG);
    memcpy(shared->edge_key, f->edge.public, sizeof shared->edge_key);
    shared->answered = 0;
    shared->done = false;
    shared->next = conduct;
    rig_start_and_wait(f);
    return f;
}

static void wait_for_answers(unsigned more)
{
    const unsigned goal = shared->answered + more;
    const uint64_t until = clock_ms() + EDGE_PATIENCE_MS;

    while (shared->answered < goal) {
        assert_true(clock_ms() < until);
        poll(NULL, 0, ASK_MS);
    }
}

static void wait_until_done(void)
{
    const uint64_t until = clock_ms() + EDGE_PATIENCE_MS;

    while (!shared->done) {
        assert_true(clock_ms() < until);
        poll(NULL, 0, ASK_MS);
    }
}

/* "killed="ROLE PID"", of the next process that was overdue. */
static void wait_for_kill(struct fixture *f, const char *role, pid_t pid)
{
    char expected[128];

    snprintf(expected, sizeof expected, "event=child_overdue killed=\"%s %d\" waited_ms=", role, (int)pid);
    const char *line = rig_wait_for(f, "event=child_overdue");
    assert_memory_equal(line, expected, strlen(expected));
    rig_wait_for(f, "event=child_ended");
}

static void a_wall_that_is_kept_ends_with_its_vault(void **state)
{
    struct fixture *f = begin_hostile(state, KEEPS_THE_FIRST_WALL);

    wait_for_answers(2);
    rig_write(f, "authorized_edges", "# nobody\n");
    kill(f->pid, SIGHUP);
    rig_wait_for(f, "event=vault_ready cause=reload");
    const uint64_t begun = clock_ms();
    wait_for_answers(2); /* from the vault of before, by the rights of before */
    wait_for_kill(f, "vault", f->vault);
    assert_true(clock_ms() - begun >= GRACE_MS - 1000);
    wait_until_done();
    const unsigned answered = shared->answered;
    poll(NULL, 0, 10 * ASK_MS);
    assert_int_equal(shared->answered, answered);
    kill(f->pid, SIGINT);
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 1); /* it does not drain either */
}

static void a_net_process_that_closes_its_control_is_replaced(void **state)
{
    struct fixture *f = begin_hostile(state, CLOSES_CONTROL);

    wait_until_done();
    kill(f->pid, SIGHUP); /* the vault that it brings cannot be handed over */
    wait_for_kill(f, "net", f->net);
    rig_wait_for(f, "event=child_started role=net");
    rig_wait_for(f, "event=reloaded");
    rig_wait_for(f, "event=vault_ready cause=reload");
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 0);
}

static void a_net_process_that_takes_no_wall_is_replaced(void **state)
{
    struct fixture *f = begin_hostile(state, TAKES_NOTHING);

    wait_for_kill(f, "net", f->net);
    rig_wait_for(f, "event=child_started role=net");
    rig_wait_for(f, "event=vault_ready");
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 0);
}

static void an_honest_one_in_its_place_is_left_alone(void **state)
{
    struct fixture *f = begin_hostile(state, HONEST);

    kill(f->pid, SIGHUP);
    rig_wait_for(f, "event=vault_ready cause=reload");
    rig_wait_for(f, "event=child_ended role=vault");
    kill(f->pid, SIGTERM);
    assert_int_equal(rig_wait_for_end(f), 0);
    assert_null(strstr(f->log, "child_overdue"));
}

#define RUN_TEST(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TEST(a_wall_that_is_kept_ends_with_its_vault),
        RUN_TEST(a_net_process_that_closes_its_control_is_replaced),
        RUN_TEST(a_net_process_that_takes_no_wall_is_replaced),
        RUN_TEST(an_honest_one_in_its_place_is_left_alone),
    };

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
