/* Dispatch: the policy by which requests go to key servers. The answer to each operation is the same whoever
 * computes it and however often, so a request may be sent again, and to two servers at once.
 *
 * TO WHOM. Of the servers that have an open channel with room for one more request, one of the lowest rank;
 * among equals the better of two drawn at random (balance.h). These raise the rank, the later ones more than
 * all before them together:
 *   - the request was with this server before;
 *   - the server is avoided: its channel is silent (silence.h), it is stalled, or it has just said that it
 * can do nothing;
 *   - the request's session is marked with an epoch that this server has not announced, or has announced, but
 *     the request was there already.
 * Never to a server that has the request now, nor to one that is known to refuse it while another one that is
 * connected is not. When nobody has room the request waits, in the order of arrival.
 *
 * WHEN A SECOND SERVER IS ASKED. When half of the time from the sending to the deadline has passed without an
 * answer; a request that waits on a channel and has not left it moves instead. The first answer counts. Once
 * for each request; when no second server is there, the client looks again at half of what is left. A server
 * that has answered nobody since the request was sent is stalled, at the half and at the deadline: from then
 * on it gets one request in each ping interval, as a try, until it answers.
 *
 * WHEN IT IS SENT AGAIN. As long as its deadline is ahead, it may go to more than one server, and it has
 * tries left:
 *   - its channel is lost: to another server, or to the next channel. From the second loss on, when no other
 *     server is there, it rests first;
 *   - the server said `unavailable`, that is, it can do nothing at present: to another server. The server is
 *     avoided for a moment (health.h), since it would draw the load, being the one that answers fastest. When
 *     every server was asked, the request rests and is then sent again;
 *   - the server said `busy`, or its answer is malformed: once, to another server.
 * A rest lasts 100 ms the first time, and twice as long each time up to 800 ms, ± one half; one that would
 * not end before the deadline does not begin.
 *
 * WHEN IT FAILS. With what the server said, when that is `refused` (replicas have one policy, so asking
 * another tells nothing) or `expired`, or when it may not be sent again and no other server has it. With
 * `unavailable` at its deadline, and when its channel is lost and it may not be sent again.
 *
 * WHAT BOUNDS THE EXTRA LOAD. A request has three tries. Those do not count that a server ended with
 * `unavailable`, which have the rests between them, nor lost channels, of which it may lose eight. What
 * doubles work has a budget for the whole thread: ten, and one for every five recent requests (budget.h). It
 * pays for `busy` and malformed answers, and for a second server. It does not pay for a lost channel or
 * `unavailable`, where a server did no work; nor for a second server when the request had not left, or when
 * the first answers nobody and the second works: then nothing is doubled.
 *
 * Sees facts only: no channel, no clock, no generator. Pure; any thread. */
#ifndef EDGE_KEYCLIENT_DISPATCH_H
#define EDGE_KEYCLIENT_DISPATCH_H

#include <stdbool.h>

#include "edge/keyclient/balance.h"

#define DISPATCH_TRIES_MAX    3 /* servers a request is sent to */
#define DISPATCH_LOST_MAX     8 /* channels that a request may lose, one after the other */
#define DISPATCH_ATTEMPTS_MAX 2 /* servers that have it at the same time */

/* ---- to whom ---- */

/* One key server, as it is for one request. */
struct dispatch_server {
    struct balance_candidate load; /* `index` is its number */
    bool usable;                   /* has an open channel */
    bool room;                     /* and one more request could leave at once */
    bool avoided;
    bool refuses; /* is known not to grant what the request asks for */
    bool strange; /* comes after the others: it has not announced the request's epoch, or has had the request
                   */
    bool has_it;  /* the request is there now */
    bool tried;   /* the request is or was there */
};

/* The load.index of the one of COUNT that gets the request, drawn with RANDOM; COUNT when none can have it.
 * SCRATCH has room for COUNT. */
size_t dispatch_choose(const struct dispatch_server *servers, size_t count, uint64_t random,
                       struct balance_candidate *scratch);
/* True when one of COUNT that the request was not with could take it, now or soon; avoided ones count with
 * AVOIDED. */
bool dispatch_has_other(const struct dispatch_server *servers, size_t count, bool avoided);

/* ---- when ---- */

/* One request; times of one clock, in nanoseconds. */
struct dispatch_request {
    uint64_t deadline_ns;
    unsigned tries;   /* servers it was sent to */
    unsigned unable;  /* of them that said that they could do nothing, this time included */
    unsigned lost;    /* of them whose channel was lost before they answered, this time included */
    bool pinned;      /* may go to one server only */
    bool retried;     /* was sent again after `busy` or a malformed answer */
    bool hedged;      /* was sent to a second server while the first was due */
    bool waiting;     /* for a server, in the queue */
    bool placed;      /* a server has it; after an answer or a loss: still another one */
    uint64_t sent_ns; /* to that one; 0 = it has not left yet */
};

enum dispatch_step {
    DISPATCH_STAY,   /* nothing changes */
    DISPATCH_MOVE,   /* to another server, before all that wait */
    DISPATCH_QUEUE,  /* to any server, behind all that wait */
    DISPATCH_REST,   /* asked again at due_ns */
    DISPATCH_SECOND, /* another server is asked: beside the first, or instead if it has not left */
    DISPATCH_END     /* with the answer that came; without one STATUS_UNAVAILABLE */
};

struct dispatch_verdict {
    enum dispatch_step step;
    bool paid;       /* MOVE: only if the budget has one more; otherwise END */
    uint64_t due_ns; /* of REST */
};

enum dispatch_answer {
    DISPATCH_FINAL, /* ok or refused */
    DISPATCH_EXPIRED,
    DISPATCH_UNAVAILABLE,
    DISPATCH_TRY_OTHER, /* busy, or not well-formed */
};

/* A server has answered REQUEST. OTHER: dispatch_has_other(), with `avoided` after DISPATCH_UNAVAILABLE.
 * RANDOM makes the rest longer or shorter. */
struct dispatch_verdict dispatch_after_answer(const struct dispatch_request *request,
                                              enum dispatch_answer answer, bool other, uint64_t now_ns,
                                              uint64_t random);
/* A channel is lost that REQUEST was on. OTHER: dispatch_has_other() with `avoided`. */
struct dispatch_verdict dispatch_after_loss(const struct dispatch_request *request, bool other,
                                            uint64_t now_ns, uint64_t random);
/* Something is due for REQUEST: QUEUE after a rest, SECOND, END, or nothing. Then dispatch_next_ns(). */
enum dispatch_step dispatch_when_due(const struct dispatch_request *request, uint64_t now_ns);
/* True when asking a second server is one of those that the budget bounds: SILENT, the first has answered
 * nothing since; WORKS, the second has, or has nothing to answer. */
bool dispatch_second_costs_budget(const struct dispatch_request *request, bool silent, bool works);

/* When something is due first for REQUEST, which is new, for one of SERVERS. */
uint64_t dispatch_first_ns(const struct dispatch_request *request, size_t servers, uint64_t now_ns);
/* When again; NOW_NS is before its deadline. */
uint64_t dispatch_next_ns(const struct dispatch_request *request, uint64_t now_ns);

#endif
