"""The command as tests run it, and the files that it makes."""
import os
import pty
import re
import select
import stat
import subprocess

from daemon import PATIENCE, program
from fleet import keyless, write


def run(*arguments, **options):
    """Like keyless(), whatever the exit code."""
    return keyless(*arguments, check=False, **options)


def admin(daemon):
    """Where DAEMON says how it is, as keyless status takes it."""
    return "%s:%d" % (daemon.admin.host, daemon.admin.port)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def read(path):
    with open(path) as handle:
        return handle.read()


def replace(path, old, new):
    text = read(path)
    assert old in text
    bits = mode(path)
    os.chmod(path, 0o600)
    write(path, text.replace(old, new), bits)


def secrets_below(folder):
    """Every base64 secret in files below FOLDER that are meant to be closed."""
    found = []
    for path, _, names in os.walk(folder):
        for name in names:
            if name in ("identity.key", "psk", "group.secret"):
                found.append(read(os.path.join(path, name)).strip())
    return found


def assert_found(conf, pattern):
    done = run("check", "-c", conf)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search("^error +.*" + pattern, done.stdout, re.M), done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(set(lines)), "said twice"
    return done.stdout


def run_on_terminal(*arguments):
    """What the command prints when standard output and error are a terminal."""
    parent, child = pty.openpty()
    process = subprocess.Popen([program("keyless"), *arguments], stdout=child, stderr=child, env={**os.environ, "TERM": "xterm"})
    os.close(child)
    output = b""
    while select.select([parent], [], [], PATIENCE)[0]:
        try:
            chunk = os.read(parent, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    process.wait(timeout=PATIENCE)
    os.close(parent)
    return output.decode()
