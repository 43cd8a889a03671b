/* What is left of root after the drop: looked up in the kernel's own account of every thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privileges.h"
#include "common/process.h"
#include "tests/unit/common/in_child.h"
#include "tests/unit/skip.h"

/* The rest of the line NAME of /proc/self/status, without what leads and ends it. */
static void status_of(const char *name, char out[static 256])
{
    char line[512];
    FILE *file = fopen("/proc/thread-self/status", "re");
    out[0] = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        const char *rest = line + strlen(name) + strspn(line + strlen(name), " \t");
        snprintf(out, 256, "%.*s", (int)strcspn(rest, " \n"), rest);
    }
    if (file != NULL)
        fclose(file);
}

/* The number of the first set in which a capability is left; 0 is none. */
static int capability_left(int sets)
{
    static const char *const names[] = {"CapEff:", "CapPrm:", "CapInh:", "CapAmb:", "CapBnd:"};
    char text[256];
    for (int i = 0; i < sets; i++) {
        status_of(names[i], text);
        if (strspn(text, "0") != 16)
            return i + 1;
    }
    return 0;
}

static int expect_nothing_left(void)
{
    char text[256];
    int left = capability_left(5);
    if (left != 0)
        return 10 + left;
    status_of("NoNewPrivs:", text);
    return strcmp(text, "1") == 0 ? 0 : 20;
}

static int drop_to_nobody(void)
{
    struct fault fault = {{0}};
    char text[256];
    process_die_with_parent();
    if (privileges_drop("nobody", PRIVILEGES_NO_GROUPS, &fault) != 0)
        return 1;
    if (geteuid() == 0 || getuid() == 0 || getegid() == 0 || setuid(0) == 0)
        return 2;
    int death_signal = 0;
    prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
    if (death_signal != SIGKILL)
        return 3;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 4;
    status_of("Groups:", text);
    return text[0] != 0 ? 5 : expect_nothing_left();
}

static void root_becomes_the_user_for_good_and_keeps_nothing(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("only root can become another user");
    assert_int_not_equal(capability_left(1), 0); /* the control: they are seen where they are */
    assert_int_equal(in_child(drop_to_nobody), 0);
}

static int drop_but_root(void)
{
    struct fault fault = {{0}};
    if (privileges_drop(PRIVILEGES_ROOT, PRIVILEGES_NO_GROUPS, &fault) != 0 || geteuid() != 0)
        return 1;
    return expect_nothing_left();
}

static void root_that_stays_keeps_no_capability(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("only root can stay root");
    assert_int_equal(in_child(drop_but_root), 0);
}

/* As a service manager starts a daemon that is to bind a low port: no root, and one ambient capability. */
static int become_nobody_with_a_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = 1u << CAP_NET_BIND_SERVICE,
                                              .permitted = 1u << CAP_NET_BIND_SERVICE,
                                              .inheritable = 1u << CAP_NET_BIND_SERVICE},
                                             {0}};
    return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setresgid(65534, 65534, 65534) == 0 &&
                   setresuid(65534, 65534, 65534) == 0 && syscall(SYS_capset, &header, data) == 0 &&
                   prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0
               ? 0
               : -1;
}

static int drop_what_was_given(void)
{
    struct fault fault = {{0}};
    if (become_nobody_with_a_capability() != 0 || capability_left(4) != 1)
        return 1;
    if (privileges_drop(NULL, PRIVILEGES_NO_GROUPS, &fault) != 0)
        return 2;
    return capability_left(4);
}

static void a_capability_that_was_given_to_bind_a_port_goes(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("only root can give a capability");
    assert_int_equal(in_child(drop_what_was_given), 0);
}

static int keep_for_children(void)
{
    struct fault fault = {{0}};
    char text[256];
    if (privileges_keep_for_children(&fault) != 0)
        return 1;
    status_of("CapEff:", text);
    uint64_t kept = strtoull(text, NULL, 16);
    if ((kept & 1ull << CAP_SETUID) == 0 ||
        (kept & (1ull << CAP_NET_ADMIN | 1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_PTRACE)) != 0)
        return 2;
    return privileges_drop("nobody", PRIVILEGES_NO_GROUPS, &fault) == 0 ? expect_nothing_left() : 3;
}

static void who_starts_others_keeps_what_that_takes_and_they_nothing(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("only root has capabilities to keep");
    assert_int_equal(in_child(keep_for_children), 0);
}

static int drop_to_unknown(void)
{
    struct fault fault = {{0}};
    if (privileges_drop("no-such-user-here", PRIVILEGES_NO_GROUPS, &fault) != ERR_CONFIG)
        return 1;
    return strstr(fault.text, "no-such-user-here") != NULL && strstr(fault.text, "useradd") != NULL ? 0 : 2;
}

static void root_refuses_unknown_users(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("only root becomes anyone");
    assert_int_equal(in_child(drop_to_unknown), 0);
}

static int drop_twice(void)
{
    struct fault fault = {{0}};
    if (geteuid() == 0 && privileges_drop("nobody", PRIVILEGES_NO_GROUPS, &fault) != 0)
        return 1;
    uid_t before = geteuid();
    return privileges_drop("no-such-user-here", PRIVILEGES_NO_GROUPS, &fault) == 0 && geteuid() == before ? 0
                                                                                                          : 2;
}

static void without_root_the_user_stays(void **state)
{
    (void)state;
    assert_int_equal(in_child(drop_twice), 0);
}

static int check_start(void)
{
    struct fault fault = {{0}};
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    if (geteuid() != 0)
        return privileges_check("x.conf", NULL, &fault) == 0 ? 0 : 1;
    if (privileges_check("x.conf", NULL, &fault) != ERR_CONFIG ||
        strstr(fault.text, "x.conf: started as root") == NULL ||
        strstr(fault.text, "user = \"NAME\"") == NULL)
        return 2;
    if (privileges_check("x.conf", "no-such-user-here", &fault) != ERR_CONFIG)
        return 3;
    return privileges_check("x.conf", "nobody", &fault) == 0 &&
                   privileges_check("x.conf", "root", &fault) == 0
               ? 0
               : 4;
}

static void a_start_as_root_names_whom_to_become(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_start), 0);
}

static void the_ids_of_a_user_are_found(void **state)
{
    struct fault fault = {{0}};
    uid_t uid = 0;
    gid_t gid = 0;
    (void)state;
    assert_int_equal(privileges_find_user("nobody", &uid, &gid, &fault), 0);
    assert_int_not_equal(uid, 0);
    assert_int_not_equal(gid, 0);
    assert_int_equal(privileges_find_user("root", &uid, &gid, &fault), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(privileges_find_user("no-such-user-here", &uid, &gid, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "useradd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_becomes_the_user_for_good_and_keeps_nothing),
        cmocka_unit_test(root_that_stays_keeps_no_capability),
        cmocka_unit_test(a_capability_that_was_given_to_bind_a_port_goes),
        cmocka_unit_test(who_starts_others_keeps_what_that_takes_and_they_nothing),
        cmocka_unit_test(root_refuses_unknown_users),
        cmocka_unit_test(without_root_the_user_stays),
        cmocka_unit_test(a_start_as_root_names_whom_to_become),
        cmocka_unit_test(the_ids_of_a_user_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
