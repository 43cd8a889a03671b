/* Handshakes of every kind that pause, with a client of key servers in the hands of the test: includes
 * edge/tls/async.c itself. Not a test itself. */
#ifndef TESTS_UNIT_EDGE_ASYNC_RIG_H
#define TESTS_UNIT_EDGE_ASYNC_RIG_H

#include "edge/keyclient/client.h"
#include "edge/tls/async.h"

#define KEY_TIMEOUT 1500 /* ms */
#define OPEN_MAX    4096

extern struct client_request *open_requests[OPEN_MAX];
extern size_t open_count, submitted, cancelled;
extern int submit_error;
extern bool block_pause; /* the next submit blocks pausing, its cancel allows it again */
extern uint64_t last_deadline_ns;

/* Answers the request at INDEX as the key server would. */
void answer(size_t index, enum operation_status status);

extern struct client_epoch_wait *open_waits[OPEN_MAX];
extern size_t wait_count, awaited, waits_cancelled;
extern int await_error;

struct client *the_client(void);

enum { BOUND = 3, NO_EMS = 4, KINDS = 6 };

struct session {
    SSL *client, *server;
    struct key_wait wait;
    struct bound_exchange bound;
    unsigned ready; /* calls of on_ready */
};

int setup_all(void **state);
int teardown_all(void **state);
int start(void **state);
int stop(void **state);
struct session *session_new(size_t k);
void session_free(struct session *session);
/* Lets client and server talk until the server finishes, fails, or waits for something else than bytes. */
enum async_result run(struct session *session);

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
