/* Two sides of a wall at once: two threads that trust each other, a process that writes whatever it likes
 * into the memory while the other reads, and one that is killed in the midst of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/process.h"
#include "common/secret.h"
#include "tests/unit/keyserver/wall_rig.h"

#define PATIENCE_MS 20000
#define MANY        (PROCESS_SANITIZED ? 40000u : 400000u)
#define HOSTILE_MS  1500
#define DEATHS      60

/* Cheap, and another sequence for each START. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* ---- requests and answers that tell whether they are whole ---- */

static uint8_t messages[HANDSHAKE_MAX];

static uint32_t length_of(uint64_t token)
{
    return 1 + (uint32_t)(token * 2654435761u) % (token % 7 == 0 ? HANDSHAKE_MAX : 4000);
}

static struct wall_request request_of(uint64_t token)
{
    struct wall_request slot = {.token = token, .kind = WALL_OPERATION};
    slot.operation.kind = token % 3 == 0 ? OP_RSA_MASTER : OP_RSA_PREMASTER;
    if (token % 3 == 0) {
        slot.operation.u.rsa_master.messages = messages;
        slot.operation.u.rsa_master.length = length_of(token);
        return slot;
    }
    slot.operation.u.rsa_premaster.ciphertext_length = RSA_MODULUS_MAX;
    memset(slot.operation.u.rsa_premaster.ciphertext, (int)token, RSA_MODULUS_MAX);
    return slot;
}

static bool all_bytes_are(const uint8_t *bytes, size_t length, uint8_t value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, length - 1) == 0;
}

static bool is_request_of(const struct wall_request *slot, uint64_t token)
{
    if (wall_request_check(slot) != 0 || slot->token != token)
        return false;
    if (token % 3 != 0)
        return all_bytes_are(slot->operation.u.rsa_premaster.ciphertext, RSA_MODULUS_MAX, (uint8_t)token);
    return slot->operation.u.rsa_master.length == length_of(token) &&
           memcmp(slot->operation.u.rsa_master.messages, messages, length_of(token)) == 0;
}

static struct wall_answer answer_of(uint64_t token)
{
    struct wall_answer slot = {.token = token, .kind = WALL_OUTCOME};
    slot.u.outcome.length = (uint16_t)(1 + token % RESULT_MAX);
    memset(slot.u.outcome.bytes, (int)token, slot.u.outcome.length);
    return slot;
}

static bool is_answer_of(const struct wall_answer *slot, uint64_t token)
{
    return wall_answer_check(slot) == 0 && slot->token == token &&
           slot->u.outcome.length == 1 + token % RESULT_MAX &&
           all_bytes_are(slot->u.outcome.bytes, slot->u.outcome.length, (uint8_t)token);
}

/* ---- a vault that answers everything in order, and a net side that asks for MANY ---- */

/* Answers what comes, in order, until the other side is gone. False when something was not as it must be. */
static bool play_vault(struct wall *wall)
{
    static struct wall_request slots[WALL_BATCH_MAX];
    struct wall_answer answers[WALL_BATCH_MAX];
    uint64_t got = 0;
    int waiting = 0, sent = 0;
    for (;;) {
        if (waiting == sent) {
            waiting = wall_receive_requests(wall, slots, WALL_BATCH_MAX);
            if (waiting < 0)
                return waiting == ERR_CUT;
            for (int i = 0; i < waiting; i++) {
                if (!is_request_of(&slots[i], ++got))
                    return false;
                answers[i] = answer_of(got);
            }
            sent = 0;
        }
        int taken = wall_send_answers(wall, answers + sent, (size_t)(waiting - sent));
        if (taken < 0)
            return taken == ERR_CUT;
        sent += taken;
        if (!wall_rig_wait(wall, sent < waiting ? WALL_ROOM : WALL_SLOTS, PATIENCE_MS))
            return false;
    }
}

struct net_side {
    struct wall *wall;
    uint64_t asked, answered;
    uint32_t random;
};

/* Asks for some and takes some answers, sleeping when there is nothing else to do. 0, ERR_CUT, or another
 * error for what must not be. */
static int play_net(struct net_side *net, uint64_t many)
{
    struct wall_request requests[8];
    static struct wall_answer answers[WALL_BATCH_MAX];
    size_t count = 0;
    for (; count < 1 + next_random(&net->random) % 8 && net->asked + count < many; count++)
        requests[count] = request_of(net->asked + count + 1);
    int taken = wall_send_requests(net->wall, requests, count);
    int got = wall_receive_answers(net->wall, answers, 1 + next_random(&net->random) % WALL_BATCH_MAX);
    for (int i = 0; i < got; i++)
        if (!is_answer_of(&answers[i], ++net->answered))
            return ERR_FORMAT;
    if (got < 0)
        return got;
    net->asked += taken > 0 ? (uint64_t)taken : 0;
    if (got > 0 || (size_t)taken == count)
        return 0;
    return wall_rig_wait(net->wall, WALL_SLOTS | (taken >= 0 ? WALL_ROOM : 0u), PATIENCE_MS) ? 0
                                                                                             : ERR_TIMEOUT;
}

static void *vault_thread(void *argument)
{
    return play_vault(argument) ? argument : NULL;
}

static void two_threads_lose_nothing_and_wake_each_other(void **state)
{
    struct wall ends[2];
    pthread_t thread;
    void *result;
    (void)state;
    assert_int_equal(wall_rig_pair(&ends[0], &ends[1]), 0);
    struct net_side net = {.wall = &ends[0], .random = 1};
    assert_int_equal(pthread_create(&thread, NULL, vault_thread, &ends[1]), 0);
    while (net.answered < MANY) {
        assert_int_equal(play_net(&net, MANY), 0);
        if (net.asked == MANY && net.answered < MANY)
            assert_true(wall_rig_wait(&ends[0], WALL_SLOTS, PATIENCE_MS));
    }
    assert_int_equal(net.answered, MANY);
    wall_close(&ends[0]);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    wall_close(&ends[1]);
}

/* ---- a side that dies ---- */

static void a_vault_killed_at_any_moment_leaves_whole_answers_and_a_cut(void **state)
{
    uint32_t random = 77;
    (void)state;
    for (int death = 0; death < DEATHS; death++) {
        int fds[2], err = 0, status;
        struct wall wall;
        assert_int_equal(wall_pair(&fds[0], &fds[1]), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            process_die_with_parent();
            close(fds[0]);
            _exit(wall_adopt(&wall, fds[1]) == 0 && play_vault(&wall) ? 0 : 1);
        }
        close(fds[1]);
        assert_int_equal(wall_adopt(&wall, fds[0]), 0);
        struct net_side net = {.wall = &wall, .random = next_random(&random)};
        uint64_t dies_after = next_random(&random) % 2000;
        bool killed = false;
        while (err == 0) {
            err = play_net(&net, UINT64_MAX);
            if (!killed && net.answered >= dies_after)
                killed = kill(pid, SIGKILL) == 0;
        }
        assert_int_equal(err, ERR_CUT);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_false(wall.garbage);
        wall_close(&wall);
    }
}

/* ---- a hostile side ---- */

/* A value that is likely to matter: near the ends of a range, or near what is there. */
static uint32_t nasty(uint32_t now, uint32_t *random)
{
    static const uint32_t values[] = {0,
                                      1,
                                      2,
                                      RING_SLOTS - 1,
                                      RING_SLOTS,
                                      RING_SLOTS + 1,
                                      RING_CONTENT_MAX,
                                      RING_CONTENT_MAX + 1,
                                      HANDSHAKE_MAX,
                                      HANDSHAKE_MAX + 1,
                                      INT32_MAX,
                                      UINT32_MAX};
    uint32_t choice = next_random(random) % (sizeof values / sizeof values[0] + 4);
    if (choice < sizeof values / sizeof values[0])
        return next_random(random) % 2 != 0 ? values[choice] : now + values[choice];
    return choice % 2 != 0 ? next_random(random) : now + next_random(random) % 3;
}

/* Writes garbage into RING without end: positions seldom, so that it is believed for a while, the slots all
 * the time, while they are read. Some of it would pass as slots of KIND_MAX kinds. */
static _Noreturn void rage(struct wall *wall, uint32_t random, uint32_t kind_max)
{
    volatile struct ring *ring = (volatile struct ring *)wall->out.ring;
    uint32_t put = 0;
    for (;;) {
        uint32_t at = next_random(&random) % RING_SLOTS;
        volatile struct ring_slot *slot = &ring->slot[at];
        uint32_t field = 4 * (next_random(&random) % (RING_CONTENT_MAX / 4));
        slot->sequence = put - put % RING_SLOTS + at + 1;
        slot->length = nasty(sizeof(struct wall_request) - 1, &random);
        *(volatile uint32_t *)(volatile void *)(slot->content + field) = nasty(0, &random);
        /* kind and token of a request and of an answer, and the operation's */
        ((volatile struct wall_request *)(volatile void *)slot->content)->kind = next_random(&random) %
                                                                                 kind_max;
        ((volatile struct wall_request *)(volatile void *)slot->content)->operation.kind =
            (enum operation_kind)(next_random(&random) % (OP_KINDS + 1));
        ((volatile struct wall_request *)(volatile void *)slot->content)->operation.u.rsa_master.length =
            nasty(RING_SLOT_SIZE, &random);
        if (next_random(&random) % 8 == 0 && put + 3 - ring->taken <= RING_SLOTS)
            ring->put = put += next_random(&random) % 4;
        if (next_random(&random) % 100000 == 0)
            ring->put = put = nasty(put, &random);
        if (next_random(&random) % 100000 == 0)
            wall->in.ring->taken = nasty(wall->in.ring->taken, &random);
        else
            wall->in.ring->taken = wall->in.ring->put;
        wall->in.ring->producer_sleeps = ring->consumer_sleeps = next_random(&random);
        if (next_random(&random) % 64 == 0)
            (void)send(wall_fd(wall), "wake", 1 + next_random(&random) % 4, MSG_NOSIGNAL);
    }
}

static pid_t start_rage(int mine, int other, uint32_t random, uint32_t kind_max)
{
    struct wall wall;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        process_die_with_parent();
        close(other);
        if (wall_adopt(&wall, mine) != 0)
            _exit(1);
        rage(&wall, random, kind_max);
    }
    close(mine);
    return pid;
}

static void end_rage(pid_t pid)
{
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Reads every byte that a slot which passed its check promises; a sanitizer says if it is not there. */
static uint8_t look_at_request(const struct wall_request *slot)
{
    const struct operation *operation = &slot->operation;
    uint8_t sum = 0;
    if (wall_request_check(slot) != 0 || slot->kind != WALL_OPERATION)
        return 0;
    for (uint32_t i = 0; operation->kind == OP_RSA_MASTER && i < operation->u.rsa_master.length; i++)
        sum ^= operation->u.rsa_master.messages[i];
    for (uint32_t i = 0; operation->kind == OP_SIGN_TLS12 && i < operation->u.sign_tls12.params_length; i++)
        sum ^= operation->u.sign_tls12.params[i];
    return sum;
}

/* Slots that went through, slots that were none, times it could have slept, walls given up for garbage. */
struct tally {
    uint64_t slots, none, sleeps, walls;
    uint8_t sum; /* of all that was read */
};

static void take_as_vault(struct wall *wall, struct tally *tally)
{
    static struct wall_request slots[WALL_BATCH_MAX];
    struct wall_answer answer = answer_of(1 + tally->slots);
    uint8_t sum = 0;
    while (!wall->cut) {
        int count = wall_receive_requests(wall, slots, WALL_BATCH_MAX);
        assert_true(count >= 0 || count == ERR_FORMAT || count == ERR_CUT);
        for (int i = 0; i < count; i++)
            sum ^= look_at_request(&slots[i]);
        tally->slots += count > 0 ? (uint64_t)count : 0;
        tally->none += count == ERR_FORMAT;
        int taken = wall_send_answers(wall, &answer, 1);
        assert_true(taken == 0 || taken == 1 || taken == ERR_CUT);
        wall_woken(wall);
        tally->sum ^= sum;                                         /* or nothing would be read */
        tally->sleeps += wall_sleep(wall, WALL_SLOTS | WALL_ROOM); /* it does not, here */
    }
}

static void take_as_net(struct wall *wall, struct tally *tally)
{
    static struct wall_answer slots[WALL_BATCH_MAX];
    while (!wall->cut) {
        struct wall_request request = request_of(1 + tally->slots);
        int count = wall_receive_answers(wall, slots, WALL_BATCH_MAX);
        assert_true(count >= 0 || count == ERR_FORMAT || count == ERR_CUT);
        for (int i = 0; i < count; i++)
            if (wall_answer_check(&slots[i]) == 0 && slots[i].kind == WALL_OUTCOME)
                assert_true(slots[i].u.outcome.length <= RESULT_MAX);
        tally->slots += count > 0 ? (uint64_t)count : 0;
        tally->none += count == ERR_FORMAT;
        int taken = wall_send_requests(wall, &request, 1);
        assert_true(taken == 0 || taken == 1 || taken == ERR_CUT);
        wall_woken(wall);
    }
}

/* Each in some round: when both sides run one after the other, on a busy machine, few of a round's slots are
 * right ones. */
static bool has_all(const struct tally *tally)
{
    return tally->slots > 0 && tally->none > 0 && tally->walls > 0;
}

static void survive(bool as_vault)
{
    struct tally tally = {0};
    uint32_t random = as_vault ? 4711 : 815;
    uint64_t start = clock_ms();
    while (clock_ms() < start + HOSTILE_MS || (!has_all(&tally) && clock_ms() < start + PATIENCE_MS)) {
        int fds[2];
        struct wall wall;
        assert_int_equal(wall_pair(&fds[0], &fds[1]), 0);
        int mine = as_vault ? 1 : 0;
        pid_t pid = start_rage(fds[!mine], fds[mine], next_random(&random) | 1, as_vault ? 5 : 6);
        assert_int_equal(wall_adopt(&wall, fds[mine]), 0);
        (as_vault ? take_as_vault : take_as_net)(&wall, &tally);
        assert_true(wall.garbage); /* it did not die: it was given up */
        tally.walls++;
        wall_close(&wall);
        end_rage(pid);
    }
    print_message("%lu slots, %lu that were none, %lu walls\n", (unsigned long)tally.slots,
                  (unsigned long)tally.none, (unsigned long)tally.walls);
    assert_true(has_all(&tally));
}

static void a_vault_survives_whatever_the_net_side_writes(void **state)
{
    (void)state;
    survive(true);
}

static void a_net_side_survives_whatever_the_vault_writes(void **state)
{
    (void)state;
    survive(false);
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof messages; i++)
        messages[i] = (uint8_t)(i * 7 + i / 256);
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vault_killed_at_any_moment_leaves_whole_answers_and_a_cut),
        cmocka_unit_test(a_vault_survives_whatever_the_net_side_writes),
        cmocka_unit_test(a_net_side_survives_whatever_the_vault_writes),
        cmocka_unit_test(two_threads_lose_nothing_and_wake_each_other),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
