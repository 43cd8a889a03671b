#include "common/episode.h"

bool episode_note(struct episode *episode, uint64_t now_ms)
{
    bool begins = !episode->begun || now_ms - episode->latest_ms >= EPISODE_CALM_MS;
    *episode = (struct episode){.latest_ms = now_ms, .begun = true};
    return begins;
}
