/* How logs, the audit log and the wall name a channel: by the first bytes of its handshake hash. */
#ifndef COMMON_CHANNEL_NAME_H
#define COMMON_CHANNEL_NAME_H

#define CHANNEL_NAME_SIZE 8 /* bytes */

#endif
