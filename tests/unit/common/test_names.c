/* Names: what is known of them, and the resolver that finds it out. */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/names.h"
#include "common/resolver.h"

#define SECOND 1000000000u

static unsigned asked, told;

static void on_ask(size_t number, const char *host, void *user)
{
    (void)number;
    assert_string_equal(host, "keys.example.test");
    assert_ptr_equal(user, &asked);
    asked++;
}

static void on_change(void *user)
{
    (void)user;
    told++;
}

static void start_names(struct names *names, struct endpoint *endpoint)
{
    struct fault fault = {0};

    names_init(names);
    names->ask = on_ask;
    names->user = &asked;
    asked = told = 0;
    assert_int_equal(names_add(names, endpoint, "keys.example.test:99", 2407, &fault), 0);
}

static struct address at(const char *text)
{
    struct address address;

    assert_int_equal(address_parse(&address, text, 1, NULL), 0);
    return address;
}

static const char *first_of(const struct endpoint *endpoint)
{
    static char text[ADDRESS_TEXT_SIZE];
    struct name_answer answer;

    endpoint_get(endpoint, &answer);
    return answer.count > 0 ? address_text(&answer.addresses[0], text) : "";
}

static void an_address_is_no_name(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:1", "[::1]:1", "unix:/x", "*:1"};
    struct names names;
    struct endpoint endpoint;

    names_init(&names);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(names_add(&names, &endpoint, texts[i], 0, NULL), 0);
        assert_null(endpoint.names);
        assert_true(endpoint_is_fresh(&endpoint, SECOND, 0));
        assert_string_equal(first_of(&endpoint), strcmp(texts[i], "*:1") == 0 ? "[::]:1" : texts[i]);
    }
    assert_int_equal(names.count, 0);
    names_clear(&names);
}

static void a_name_is_asked_for_once_and_again_when_its_answer_is_old(void **state)
{
    (void)state;
    struct names names;
    struct endpoint endpoint;
    struct names_watch watch = {.on_change = on_change};
    struct address a = at("192.0.2.1:1");

    start_names(&names, &endpoint);
    names_watch(&names, &watch);
    assert_false(endpoint_is_fresh(&endpoint, SECOND, SECOND));
    assert_false(endpoint_is_fresh(&endpoint, SECOND, SECOND));
    assert_int_equal(asked, 1);
    names_put(&names, 0, &a, 1, "", 2 * (uint64_t)SECOND);
    assert_int_equal(told, 1);
    assert_string_equal(first_of(&endpoint), "192.0.2.1:99"); /* the port is the endpoint's */
    assert_true(endpoint_is_fresh(&endpoint, 3 * (uint64_t)SECOND, SECOND));
    assert_false(endpoint_is_fresh(&endpoint, 3 * (uint64_t)SECOND + 1, SECOND));
    assert_int_equal(asked, 2);
    assert_false(endpoint_is_fresh(&endpoint, 40 * (uint64_t)SECOND, SECOND)); /* that answer was lost */
    assert_int_equal(asked, 3);
    names_unwatch(&names, &watch);
    names_clear(&names);
}

static void what_nobody_will_answer_is_asked_again(void **state)
{
    (void)state;
    struct names names;
    struct endpoint endpoint;

    start_names(&names, &endpoint);
    assert_false(endpoint_is_fresh(&endpoint, SECOND, 0));
    names_forget_asked(&names);
    assert_false(endpoint_is_awaited(&endpoint));
    assert_false(endpoint_is_fresh(&endpoint, SECOND, 0));
    assert_int_equal(asked, 2);
    names.ask = NULL; /* nobody looks up: what is known is all that there will be */
    assert_true(endpoint_is_fresh(&endpoint, SECOND, 0));
    names_clear(&names);
}

static void an_answer_is_awaited_until_it_comes_and_while_no_address_is_known(void **state)
{
    (void)state;
    struct names names;
    struct endpoint endpoint;
    struct address a = at("192.0.2.1:1");

    start_names(&names, &endpoint);
    assert_false(endpoint_is_awaited(&endpoint)); /* nobody has asked */
    assert_false(endpoint_is_fresh(&endpoint, SECOND, 0));
    assert_true(endpoint_is_awaited(&endpoint));
    names_put(&names, 0, NULL, 0, "there is no such name", SECOND);
    assert_false(endpoint_is_awaited(&endpoint));
    assert_false(endpoint_is_fresh(&endpoint, 2 * (uint64_t)SECOND, 0));
    assert_true(endpoint_is_awaited(&endpoint));
    names_put(&names, 0, &a, 1, "", 2 * (uint64_t)SECOND);
    assert_false(endpoint_is_fresh(&endpoint, 3 * (uint64_t)SECOND, 0));
    assert_false(endpoint_is_awaited(&endpoint)); /* the address that is known will do */
    names_clear(&names);
}

static void the_last_good_answer_is_kept(void **state)
{
    (void)state;
    struct names names;
    struct endpoint endpoint;
    struct name_answer answer;
    struct address a = at("192.0.2.1:1"), b = at("[2001:db8::1]:1");

    start_names(&names, &endpoint);
    endpoint_get(&endpoint, &answer);
    assert_int_equal(answer.count, 0);
    assert_non_null(strstr(answer.why, "keys.example.test"));
    names_put(&names, 0, &a, 1, "", SECOND);
    names_put(&names, 0, NULL, 0, "name servers are gone", SECOND);
    endpoint_get(&endpoint, &answer);
    assert_string_equal(answer.why, "name servers are gone");
    assert_string_equal(first_of(&endpoint), "192.0.2.1:99");
    names_put(&names, 0, &b, 1, "", SECOND);
    endpoint_get(&endpoint, &answer);
    assert_string_equal(answer.why, "");
    assert_string_equal(first_of(&endpoint), "[2001:db8::1]:99");
    names_clear(&names);
}

static void what_works_is_tried_first_as_long_as_it_is_an_answer(void **state)
{
    (void)state;
    struct names names;
    struct endpoint endpoint;
    struct address both[] = {at("192.0.2.1:1"), at("192.0.2.2:1")}, works = at("192.0.2.2:99");

    start_names(&names, &endpoint);
    names_put(&names, 0, both, 2, "", SECOND);
    endpoint_prefer(&endpoint, &works);
    assert_string_equal(first_of(&endpoint), "192.0.2.2:99");
    names_put(&names, 0, both, 2, "", SECOND);
    assert_string_equal(first_of(&endpoint), "192.0.2.2:99");
    names_put(&names, 0, both, 1, "", SECOND);
    assert_string_equal(first_of(&endpoint), "192.0.2.1:99");
    names_clear(&names);
}

static void take_answer(struct resolver *resolver, struct resolver_answer *answer)
{
    struct pollfd wait = {.fd = resolver->fd, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, 30000), 1);
    assert_int_equal(resolver_take(resolver, answer), 0);
}

static void the_resolver_answers_each_name(void **state)
{
    (void)state;
    struct resolver resolver;
    struct resolver_answer answer;
    bool seen[2] = {false, false};

    assert_int_equal(resolver_start(&resolver, NULL, SANDBOX_ON, NULL), 0);
    assert_int_equal(resolver_take(&resolver, &answer), ERR_BUSY);
    resolver_ask(&resolver, 0, "localhost");
    resolver_ask(&resolver, 1, "no-such-host.invalid");
    for (int i = 0; i < 2; i++) {
        take_answer(&resolver, &answer);
        assert_in_range(answer.number, 0, 1);
        seen[answer.number] = true;
        if (answer.number == 0) {
            assert_in_range(answer.count, 1, ADDRESS_FOUND_MAX);
            assert_true(address_is_loopback(&answer.addresses[0]));
        } else {
            assert_int_equal(answer.count, 0);
            assert_non_null(strstr(answer.why, "no-such-host.invalid"));
        }
    }
    assert_true(seen[0] && seen[1]);
    resolver_stop(&resolver);
    resolver_stop(&resolver);
}

/* More than are looked up at once. */
static void many_questions_are_all_answered(void **state)
{
    (void)state;
    struct resolver resolver;
    struct resolver_answer answer;
    unsigned answers[100] = {0};

    assert_int_equal(resolver_start(&resolver, NULL, SANDBOX_ON, NULL), 0);
    for (size_t i = 0; i < 100; i++)
        resolver_ask(&resolver, i, "127.0.0.1");
    for (size_t i = 0; i < 100; i++) {
        take_answer(&resolver, &answer);
        assert_in_range(answer.number, 0, 99);
        assert_int_equal(answers[answer.number]++, 0);
    }
    resolver_stop(&resolver);
}

/* The process that RESOLVER's parent has started; 0 while there is none. */
static pid_t process_of(const struct resolver *resolver)
{
    char path[300], text[512];
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;

    assert_non_null(folder);
    while (found == 0 && (entry = readdir(folder)) != NULL) {
        int pid, parent;
        char state;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        if (fgets(text, sizeof text, file) != NULL &&
            sscanf(text, "%d (%*[^)]) %c %d", &pid, &state, &parent) == 3 && parent == resolver->pid &&
            state != 'Z')
            found = pid;
        fclose(file);
    }
    closedir(folder);
    return found;
}

static void the_process_is_started_again_when_it_dies(void **state)
{
    (void)state;
    struct resolver resolver;
    struct resolver_answer answer;
    pid_t pid, last = 0;

    assert_int_equal(resolver_start(&resolver, NULL, SANDBOX_ON, NULL), 0);
    for (int i = 0; i < 3; i++) {
        for (int turns = 0; ((pid = process_of(&resolver)) == 0 || pid == last) && turns < 3000; turns++)
            usleep(10000);
        assert_int_not_equal(pid, 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        last = pid;
        take_answer(&resolver, &answer);
        assert_true(answer.number == RESOLVER_RESTARTED);
        assert_int_equal(answer.count, 0);
        assert_string_equal(answer.why, "signal 9");
        resolver_ask(&resolver, 7, "127.0.0.1");
        take_answer(&resolver, &answer);
        assert_int_equal(answer.number, 7);
        assert_int_equal(answer.count, 1);
    }
    resolver_stop(&resolver);
}

static void the_end_of_the_process_is_noticed(void **state)
{
    (void)state;
    struct resolver resolver;
    struct resolver_answer answer;
    struct pollfd wait = {.events = POLLIN};

    assert_int_equal(resolver_start(&resolver, NULL, SANDBOX_ON, NULL), 0);
    kill(resolver.pid, SIGKILL);
    wait.fd = resolver.fd;
    assert_int_equal(poll(&wait, 1, 30000), 1);
    assert_int_equal(resolver_take(&resolver, &answer), ERR_CLOSED); /* the process ends with its parent */
    resolver_ask(&resolver, 0, "localhost");                         /* and no SIGPIPE */
    resolver_stop(&resolver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_no_name),
        cmocka_unit_test(a_name_is_asked_for_once_and_again_when_its_answer_is_old),
        cmocka_unit_test(what_nobody_will_answer_is_asked_again),
        cmocka_unit_test(an_answer_is_awaited_until_it_comes_and_while_no_address_is_known),
        cmocka_unit_test(the_last_good_answer_is_kept),
        cmocka_unit_test(what_works_is_tried_first_as_long_as_it_is_an_answer),
        cmocka_unit_test(the_resolver_answers_each_name),
        cmocka_unit_test(many_questions_are_all_answered),
        cmocka_unit_test(the_process_is_started_again_when_it_dies),
        cmocka_unit_test(the_end_of_the_process_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
