/* Times that both ends of a channel use, in milliseconds (proto/PROTOCOL.md, section 4). */
#ifndef COMMON_CHANNEL_TIMES_H
#define COMMON_CHANNEL_TIMES_H

/* An edge pings a channel that has been quiet for so long. */
#define CHANNEL_PING_MS 5000u
/* A channel is silent after two unanswered pings, and half an interval for the answer to the second: with
 * less time one lost packet would end a channel. */
#define CHANNEL_SILENT_MS(ping_ms) ((ping_ms)*5 / 2)

#endif
