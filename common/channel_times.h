/* Times by which both ends of a channel go, in milliseconds (proto/PROTOCOL.md, section 4). */
#ifndef COMMON_CHANNEL_TIMES_H
#define COMMON_CHANNEL_TIMES_H

/* An edge pings a channel that has been quiet for so long. */
#define CHANNEL_PING_MS 5000u
/* Two pings without an answer, and half an interval for the second one's: whoever gives up a channel earlier
 * loses it by one packet. */
#define CHANNEL_SILENT_MS(ping_ms) ((ping_ms)*5 / 2)

#endif
