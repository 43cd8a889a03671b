#include "edge/keyclient/turn.h"

void turn_init(struct turn *turn, uv_loop_t *loop, uv_idle_cb on_turn, void *user)
{
    turn->on_turn = on_turn;
    turn->closing = false;
    uv_idle_init(loop, &turn->idle); /* cannot fail */
    turn->idle.data = user;
}

void turn_wake(struct turn *turn)
{
    if (!turn->closing)
        uv_idle_start(&turn->idle, turn->on_turn); /* nothing happens when it is started already */
}

void turn_begin(struct turn *turn)
{
    uv_idle_stop(&turn->idle);
}

void turn_close(struct turn *turn, uv_close_cb on_closed)
{
    turn->closing = true;
    uv_close((uv_handle_t *)&turn->idle, on_closed);
}
