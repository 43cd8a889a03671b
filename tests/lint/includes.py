#!/usr/bin/python3
"""Who may include whom, which file may know which library, headers that stand alone, no circles, and size.

The tables below are the architecture. Prints one line a breach and exits 1 when there is any.
"""
import fnmatch
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("common", "proto", "keyserver", "edge", "cli", "tests")

# Rooms, from the bottom up: folder, and what its files may include besides their own folder and everything of
# `common` and `proto`. A folder stands for all that is in it, unless a deeper one has a row of its own.
EVERYTHING = None
ROOMS = {
    "common": (),
    "proto": ("common",),
    # The key server. What both of its sides read: what the owner wrote.
    "keyserver/rules": ("common", "proto"),
    # Slots between net and vault, the only way from one to the other.
    "keyserver/wall": ("common", "proto", "keyserver/rules/refusal.h"),
    "keyserver/net": ("common", "proto", "keyserver/rules", "keyserver/wall"),
    # Several private-key operations at once: arithmetic, which knows neither keys' files nor OpenSSL.
    "keyserver/lanes": ("common",),
    # The form of the audit log: pure, for who writes it and for who verifies it.
    "keyserver/audit": ("common",),
    # Of the vault, only the desk and the outbox know the wall: no room below them may.
    "keyserver/vault/keys": ("common", "proto", "keyserver/rules", "keyserver/lanes"),
    "keyserver/vault/request": ("common", "proto", "keyserver/rules", "keyserver/vault/keys"),
    "keyserver/vault/compute": ("common", "proto", "keyserver/lanes", "keyserver/vault/keys", "keyserver/vault/request"),
    "keyserver/vault/judge": ("common", "proto", "keyserver/rules", "keyserver/vault/keys",
                              "keyserver/vault/request", "keyserver/vault/compute/fair.h"),
    "keyserver/vault/audit": ("common", "proto", "keyserver/rules", "keyserver/audit",
                              "keyserver/vault/keys", "keyserver/vault/request", "keyserver/vault/judge"),
    "keyserver/vault": ("common", "proto", "keyserver/rules", "keyserver/wall", "keyserver/lanes", "keyserver/vault"),
    # Starts both sides, so it knows the face of each.
    "keyserver/supervisor": ("common", "proto", "keyserver/rules", "keyserver/wall", "keyserver/net/net.h",
                             "keyserver/net/control.h", "keyserver/net/server_sockets.h",
                             "keyserver/vault/vault.h", "keyserver/vault/loader.h"),
    "keyserver": ("common", "proto", "keyserver/rules", "keyserver/supervisor", "keyserver/vault/keys/openssl_heap.h"),
    # The edge.
    "edge/config": ("common",),
    "edge/keyclient": ("common", "proto"),
    "edge/provider": ("common", "proto"),
    "edge/relay": ("common", "edge/config"),
    "edge/certs": ("common", "proto", "edge/provider"),
    # Bound mode. Of the provider, the functions that it is given; the provider itself knows nothing of bound mode.
    "edge/bound": ("common", "proto", "edge/keyclient", "edge/provider/provider.h"),
    "edge/tls": ("common", "proto", "edge/config", "edge/keyclient", "edge/provider", "edge/certs", "edge/bound"),
    "edge/session": ("common", "proto", "edge/config", "edge/relay", "edge/bound", "edge/tls",
                     "edge/provider/openssl_error.h"),
    "edge/daemon": ("common", "proto", "edge/config", "edge/keyclient", "edge/provider", "edge/certs", "edge/relay",
                    "edge/tls", "edge/session"),
    "edge": ("common", "edge/daemon"),
    # The command: what it reads and says is what the daemons read and say.
    "cli": ("common", "proto", "keyserver/rules", "keyserver/audit", "edge/config", "edge/keyclient", "edge/provider",
            "edge/certs", "edge/daemon/key_servers.h"),
    "tests": EVERYTHING,
}

# Library → (what its headers match, which files may include them).
LIBRARIES = {
    "libsodium": (r"sodium\.h", ("common/secret.c", "common/noise.c", "common/bytes.c", "common/identity.c",
                                 "common/sign.c")),
    "libuv": (r"uv\.h", ("common/channel*", "common/admin.*", "keyserver/net/*", "edge/keyclient/*", "edge/session/*",
                         "edge/relay/*", "edge/daemon/*", "cli/*")),
    "libconfuse": (r"confuse\.h", ("common/config*.[ch]",)),
    "protobuf-c": (r".*pb-c\.h|protobuf-c/.*", ("proto/msg*.[ch]",)),
    "OpenSSL": (r"openssl/.*", ("keyserver/vault/*", "keyserver/audit/audit_chain.c", "edge/provider/*",
                               "edge/certs/*", "edge/bound/*", "edge/tls/*", "edge/session/*", "cli/*")),
    "jansson": (r"jansson\.h", ("keyserver/net/*status*.c", "edge/daemon/*status*.c", "cli/*")),
    "seccomp": (r"seccomp\.h", ("common/sandbox*.c",)),
}
FILE_LINES = 450
FUNCTION_LINES = 75
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def sources():
    for folder in FOLDERS:
        for path, _, files in os.walk(os.path.join(ROOT, folder)):
            for name in files:
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(path, name), ROOT)


def room_of(path):
    room = os.path.dirname(path)
    while room and room not in ROOMS:
        room = os.path.dirname(room)
    return room


def check_place(path):
    """Nothing but main.c lies loose in a folder that has rooms."""
    folder, name = os.path.split(path)
    if folder in ("edge", "keyserver") and name != "main.c":
        return "%s lies loose: which room of %s does it belong to?" % (path, folder)
    return None


def check_direction(path, included):
    room, target = room_of(path), room_of(included)
    allowed = ROOMS[room]
    if allowed is EVERYTHING or target == room or target in allowed or included in allowed:
        return None
    if any(target.startswith(other + "/") for other in allowed if other in ("keyserver/vault",)):
        return None
    return "%s (%s) may not include %s (%s)" % (path, room, included, target)


def check_library(path, header):
    for library, (pattern, users) in LIBRARIES.items():
        if re.fullmatch(pattern, header) and not any(fnmatch.fnmatch(path, u) for u in users):
            return "%s may not know %s (<%s>)" % (path, library, header)
    return None


def module_of(path):
    return path[:-2]


def family_of(module):
    """Modules that share the first word of their names in one room: a face and its inside, which know each other."""
    room, name = os.path.split(module)
    return room, name.split("_")[0]


def find_circles(graph):
    """The strongly connected parts of GRAPH (Tarjan, SIAM J. Comput. 1, 1972) with more than one node."""
    index, low, stack, circles = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for following in sorted(graph.get(node, ())):
            if following not in index:
                visit(following)
                low[node] = min(low[node], low[following])
            elif following in stack:
                low[node] = min(low[node], index[following])
        if low[node] == index[node]:
            part = stack[stack.index(node):]
            del stack[-len(part):]
            if len(part) > 1:
                circles.append(part)

    for start in sorted(graph):
        if start not in index:
            visit(start)
    return circles


def check_circles(includes):
    """No circle among headers, and none among modules, .c files included, but within a family."""
    headers = {path: set(own) for path, own in includes.items() if path.endswith(".h")}
    for circle in find_circles(headers):
        yield "headers include each other in a circle: " + ", ".join(circle)
    modules = {}
    for path, own in includes.items():
        if not path.startswith("tests/"):
            module = module_of(path)
            modules.setdefault(module, set()).update(module_of(name) for name in own if module_of(name) != module)
    for circle in find_circles(modules):
        if len({family_of(module) for module in circle}) > 1:
            yield "modules know each other in a circle: " + ", ".join(circle)


def check_sizes(path, text):
    lines = text.split("\n")
    if len(lines) > FILE_LINES + 1:
        yield "%s: %d lines; what does it want to become? (at most %d)" % (path, len(lines) - 1, FILE_LINES)
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start > FUNCTION_LINES:
                yield "%s:%d: a function of %d lines (at most %d)" % (path, start, number - start, FUNCTION_LINES)
            start = None


def check_headers_alone(headers, build):
    command = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-DOPENSSL_NO_DEPRECATED", "-Wall", "-Wextra", "-Werror", "-I.",
               "-I" + build + "/gen", "-fsyntax-only", "-x", "c"]
    for header in headers:
        done = subprocess.run(command + [header], cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            yield "%s does not stand alone: %s" % (header, done.stderr.strip().split("\n")[0])


def main():
    breaches, includes, headers = [], {}, []
    for path in sorted(sources()):
        with open(os.path.join(ROOT, path), encoding="utf-8") as handle:
            text = handle.read()
        if path.endswith(".h"):
            headers.append(path)
        own = includes[path] = [name for kind, name in INCLUDE.findall(text) if kind == '"' and not name.endswith("pb-c.h")]
        breaches += [b for b in [check_place(path)] + [check_direction(path, name) for name in own] if b]
        if not path.startswith("tests/"):
            breaches += [b for b in (check_library(path, name) for _, name in INCLUDE.findall(text)) if b]
            breaches += check_sizes(path, text)
    breaches += check_circles(includes)
    breaches += check_headers_alone(headers, os.environ.get("BUILD", "build"))
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


sys.exit(main())
