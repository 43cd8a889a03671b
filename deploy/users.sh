#!/bin/sh
# Makes the system accounts that the daemons become, where they are missing. As root; run by `make install`.
set -eu
for user in keyless-server keyless-edge; do
    if getent passwd "$user" >/dev/null; then
        continue
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "the account $user is missing; as root run: useradd --system --no-create-home --shell /usr/sbin/nologin $user"
        continue
    fi
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
    echo "made the system account $user"
done
