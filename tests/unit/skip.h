/* A test that cannot run here says what is missing: tests/run lists these lines. Within a cmocka test. */
#ifndef TESTS_UNIT_SKIP_H
#define TESTS_UNIT_SKIP_H

/* FORMAT of printf: what this machine or build lacks. Does not return. */
#define SKIP_FOR(...)                                                                                        \
    do {                                                                                                     \
        print_message("skipped: " __VA_ARGS__);                                                              \
        print_message("\n");                                                                                 \
        skip();                                                                                              \
    } while (0)

#endif
