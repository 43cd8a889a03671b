/* Turn: has the loop do, once before it sleeps, what was put off until everything of this turn is known.
 *
 * Idle handles run before prepare handles, in which the channels write: what is given to them there would
 * stay until the next event. Loop thread only. */
#ifndef EDGE_KEYCLIENT_TURN_H
#define EDGE_KEYCLIENT_TURN_H

#include <stdbool.h>
#include <uv.h>

struct turn {
    uv_idle_t idle; /* runs while there is something to do */
    uv_idle_cb on_turn;
    bool closing;
};

/* ON_TURN calls turn_begin() first; USER is its handle's data. */
void turn_init(struct turn *turn, uv_loop_t *loop, uv_idle_cb on_turn, void *user);
/* Has on_turn called before the loop sleeps; calling again is allowed. Nothing happens after turn_close(). */
void turn_wake(struct turn *turn);
/* From now on turn_wake() asks for another one. */
void turn_begin(struct turn *turn);
/* Nobody is called any more; ON_CLOSED when the handle is. */
void turn_close(struct turn *turn, uv_close_cb on_closed);

#endif
