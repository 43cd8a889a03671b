#include "tests/unit/keyserver/gap_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keyserver/rules/order.h"

int gap_fd;

int gap_set_up(void **state)
{
    (void)state;
    gap_fd = order_memory();
    return gap_fd < 0;
}

int gap_tear_down(void **state)
{
    (void)state;
    close(gap_fd);
    return 0;
}

/* ---- a process that ends or stops in a write ---- */

static struct gap_trap trap;

static void fall(enum gap_when when)
{
    if (trap.at != 1 || trap.when != when)
        return;
    if (!trap.stops)
        _exit(7);
    (void)raise(SIGSTOP);
}

/* In the place of the C library's, for this program. */
ssize_t pwrite(int to, const void *bytes, size_t length, off_t at)
{
    ssize_t n = 0;
    fall(BEFORE);
    if (trap.at == 1 && trap.when == WITHIN)
        (void)!syscall(SYS_pwrite64, to, bytes, length / 2, at);
    fall(WITHIN);
    n = syscall(SYS_pwrite64, to, bytes, length, at);
    fall(AFTER);
    trap.at -= trap.at > 0;
    return n;
}

/* ---- vaults ---- */

static _Noreturn void live(int in, int out)
{
    struct gap_slots slots;
    struct gap_number number = {.since_ms = 0};
    struct gap_order order;
    gap_slots_init(&slots, gap_fd);
    while (read(in, &order, sizeof order) == (ssize_t)sizeof order && order.what != END) {
        trap = order.trap;
        if (order.what == ADD) {
            if (gap_number_is_empty(&number))
                number.since_ms = order.number.since_ms;
            number.unrecorded += order.number.unrecorded;
            number.withheld += order.number.withheld;
            gap_slots_leave(&slots, &number);
        } else
            gap_slots_gather(&slots, &number);
        if (write(out, &number, sizeof number) != (ssize_t)sizeof number)
            break;
    }
    _exit(0);
}

struct gap_vault gap_vault_start(void)
{
    int to[2], from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(to[1]);
        close(from[0]);
        live(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return (struct gap_vault){.pid = pid, .to = to[1], .from = from[0]};
}

void gap_vault_tell(const struct gap_vault *vault, const struct gap_order *order)
{
    assert_int_equal(write(vault->to, order, sizeof *order), sizeof *order);
}

/* False: it has died of the order. */
bool gap_vault_hear(const struct gap_vault *vault, struct gap_number *out)
{
    ssize_t n = read(vault->from, out, sizeof *out);
    assert_true(n == 0 || n == (ssize_t)sizeof *out);
    return n > 0;
}

struct gap_number gap_vault_gather(const struct gap_vault *vault)
{
    struct gap_number number;
    gap_vault_tell(vault, &(struct gap_order){.what = GATHER});
    assert_true(gap_vault_hear(vault, &number));
    return number;
}

void gap_vault_add(const struct gap_vault *vault, uint64_t since_ms, uint64_t unrecorded, uint64_t withheld)
{
    struct gap_order order = {
        .what = ADD, .number = {.since_ms = since_ms, .unrecorded = unrecorded, .withheld = withheld}};
    struct gap_number number;
    gap_vault_tell(vault, &order);
    assert_true(gap_vault_hear(vault, &number));
}

void gap_vault_end(struct gap_vault *vault, int how)
{
    const struct gap_order last = {.what = END};
    if (how != 0)
        assert_int_equal(kill(vault->pid, how), 0);
    else
        (void)!write(vault->to, &last, sizeof last); /* it may have died */
    close(vault->to);
    assert_int_equal(waitpid(vault->pid, NULL, 0), vault->pid);
    close(vault->from);
}

void assert_number(struct gap_number number, uint64_t since_ms, uint64_t unrecorded, uint64_t withheld)
{
    assert_int_equal(number.unrecorded, unrecorded);
    assert_int_equal(number.withheld, withheld);
    assert_int_equal(number.since_ms, since_ms);
}

/* All that is left, once no vault lives: a new one takes it over, and is ended without having it recorded. */
struct gap_number gap_left(void)
{
    struct gap_vault last = gap_vault_start();
    struct gap_number number = gap_vault_gather(&last);
    gap_vault_end(&last, SIGKILL);
    return number;
}
