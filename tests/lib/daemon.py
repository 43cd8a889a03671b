"""Starts the daemons under test, reads their log lines as they come, and ends exactly what it started."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from processes import start

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
SLOW = 5 if os.environ.get("SAN") else 1  # sanitizers take their time
PATIENCE = 60 * SLOW                      # seconds until an awaited thing counts as never coming
# What a daemon in a sanitizer build does with a finding: the whole report into its log, and a status that is not 0.
# (ASan looks for leaks at every clean exit. Its stack-use-after-return knows no coroutines, which OpenSSL's jobs are.)
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:abort_on_error=0:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "exitcode=99:second_deadlock_stack=1:die_after_fork=0",
} if os.environ.get("SAN") else {}


class SanitizerReports:
    """Reports in files, for a daemon whose standard error is full or must hold its own lines alone: some sanitizers say there
    that they may have missed something. `env` is what the daemon gets; check() fails with what was found."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="keyless-reports-")
        os.chmod(self.folder, 0o1777)  # a daemon's processes have users of their own
        self.env = {name: "%s:log_path=%s/report" % (options, self.folder) for name, options in SANITIZERS.items()}

    def check(self):
        texts = []
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name), errors="replace") as handle:
                texts.append(handle.read())
        shutil.rmtree(self.folder)
        found = [text for text in texts if re.search(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:", text)]
        assert not found, "\n".join(found)


def program(name):
    return os.path.join(BUILD, name)


def wait_until(condition, what, seconds=PATIENCE):
    """Polls CONDITION until it is true; its value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("did not come within %d s: %s" % (seconds, what))
        time.sleep(0.01)


class Daemon:
    """One process; `lines` is what it has logged."""

    def __init__(self, command, cwd=None, env=None, stdin=subprocess.DEVNULL):
        self.command = [str(c) for c in command]
        env = {**SANITIZERS, **(os.environ if env is None else env)}
        self.lines, self.changed = [], threading.Condition()
        self.process = start(self.command, cwd=cwd, env=env, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def pid(self):
        return self.process.pid

    def _read(self):
        for raw in self.process.stderr:
            with self.changed:
                self.lines.append(raw.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def mark(self):
        """A place in the log; pass it as `since` to look only at what came later."""
        with self.changed:
            return len(self.lines)

    def find(self, pattern, since=0):
        with self.changed:
            return [line for line in self.lines[since:] if re.search(pattern, line)]

    def wait_log(self, pattern, since=0, count=1, seconds=PATIENCE):
        """The first line that matches (or the COUNT-th); fails with the whole log when it does not come."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                found = [line for line in self.lines[since:] if re.search(pattern, line)]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                dead = self.process.poll() is not None and not self.reader.is_alive()
                if left <= 0 or dead:
                    raise AssertionError("%s %s no log line /%s/; its log:\n%s" % (
                        os.path.basename(self.command[0]), "ended with" if dead else "wrote", pattern,
                        "\n".join(self.lines[-60:])))
                self.changed.wait(min(left, 0.5))

    def children(self, parent=None):
        """Process ids of its children, or of another PARENT's, by their command name (the name that the process gave itself)."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open("/proc/%s/stat" % entry) as handle:
                    text = handle.read()
            except OSError:
                continue
            name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
            if int(rest[1]) == (parent or self.pid) and rest[0] != "Z":
                found[name] = int(entry)
        return found

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, seconds=PATIENCE):
        code = self.process.wait(timeout=seconds)
        self.reader.join(timeout=5)
        return code

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        """Ends it and returns its exit code; what does not end in time is killed and reported."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.wait_exit(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("%s did not end on signal %d; its log:\n%s" % (
                self.command[0], number, "\n".join(self.lines[-40:])))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(timeout=5)


def rss_kb(pid):
    with open("/proc/%d/status" % pid) as handle:
        return int(re.search(r"VmRSS:\s+(\d+)", handle.read()).group(1))


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))
