#!/bin/sh
# Installs the Debian packages that a group of work needs, if any is missing: deps.sh build|test|demo|lint|fuzz|bench …
# As root or through sudo without a password; otherwise prints the one line to run and stops.
set -eu

packages() {
    case $1 in
    build) echo gcc libc6-dev make libssl-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libsodium-dev \
        libuv1-dev libconfuse-dev libjansson-dev libseccomp-dev uthash-dev scdoc ;;
    test) echo libcmocka-dev python3-pytest python3-pytest-xdist openssl curl gnutls-bin procps binutils gdb ;;
    demo) echo python3 openssl curl procps util-linux ;;
    lint) echo clang clang-format binutils mandoc ;;
    fuzz) echo clang libclang-rt-dev python3 ;;
    bench) echo nginx haproxy hitch openssl python3 android-libboringssl-dev ;; # Debian starts the first three as services
    timing) echo valgrind python3 openssl procps ;;
    *) echo "deps.sh: unknown group '$1'; known: build test demo lint fuzz bench timing" >&2; exit 2 ;;
    esac
}

command -v dpkg-query > /dev/null || exit 0 # not Debian: the compiler will say what is missing
missing=
for group in "$@"; do
    for package in $(packages "$group"); do
        case "$missing " in *" $package "*) continue ;; esac
        dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed ||
            missing="$missing $package"
    done
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
    as_root=sudo
else
    echo "Packages are missing. Run this, then try again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $as_root apt-get update -qq &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } > "$log" 2>&1; then
    cat "$log" >&2
    echo "deps.sh: installing failed; the packages wanted were:$missing" >&2
    exit 1
fi
