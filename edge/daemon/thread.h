/* Thread: one of the edge's workers: a loop with its listeners, its way to the key servers and its sessions.
 *
 * Threads share nothing but the immutable setup. Made, started, drained, stopped, joined and freed by the
 * main thread; its counters and traces may be read by any. */
#ifndef EDGE_DAEMON_THREAD_H
#define EDGE_DAEMON_THREAD_H

#include "edge/daemon/setup.h"
#include "edge/session/session_stats.h"
#include "edge/session/trace.h"

struct thread;

/* SETUP is borrowed; LISTENERS (COUNT listening descriptors) are taken in any case. ENDED is a handle of the
 * main loop that is sent when the thread is about to end, for whatever reason. */
int thread_new(struct thread **out, unsigned number, const struct setup *setup, const int *listeners,
               size_t count, uv_async_t *ended) MUST_USE;
/* Begins to serve. */
int thread_start(struct thread *thread) MUST_USE;
/* No new connections; the thread ends when its last session has. */
void thread_drain(struct thread *thread);
/* Ends every session now, then the thread. */
void thread_stop(struct thread *thread);
/* True once the thread is about to end. */
bool thread_ended(const struct thread *thread);
/* When its loop last turned, of clock_ms(): once a second at least while it works. Any thread. */
uint64_t thread_turned_ms(const struct thread *thread);
/* True when it could not begin to serve. */
bool thread_failed(const struct thread *thread);
/* Waits for the end of a started thread. */
void thread_join(struct thread *thread);
/* Not before it was joined, if it was started; NULL is allowed. */
void thread_free(struct thread *thread);

const struct session_stats *thread_stats(const struct thread *thread);
struct trace_ring *thread_traces(const struct thread *thread);

#endif
