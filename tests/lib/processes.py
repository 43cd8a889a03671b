"""Starts the long-living processes of tests and ends what is left of them when the run itself ends, however it ends.

Each has a session of its own. In the run's process group a test that holds a process with SIGSTOP could hit all the others: the
kernel sends SIGHUP and SIGCONT to a process group with a stopped member when the last parent outside of it is gone, and SIGHUP is
an order to a daemon. Nor does Ctrl-C on the run reach them before the test has looked at them.

So somebody else must see to it that none is left. Run as a program, this file is that keeper: it is told each session on its
standard input, and kills what is in them at the end of file, which comes whatever the run dies of.
"""
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

ROUNDS = 500  # of looking for what is left, 10 ms apart
_keeper, _lock = None, threading.Lock()


def state(pid):
    """(one letter of state, session, time of start) of a process; None when there is none."""
    try:
        with open("/proc/%d/stat" % pid) as handle:
            text = handle.read()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return fields[0], int(fields[3]), int(fields[19])


def every():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def whose_command_names(folder):
    """Processes whose command line names FOLDER."""
    found = []
    for pid in every():
        with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid, "rb") as handle:
            if str(folder).encode() in handle.read():
                found.append(pid)
    return found


def start(command, **options):
    """subprocess.Popen of COMMAND in a session of its own, which does not outlive this run."""
    global _keeper
    with _lock:
        if _keeper is None:
            _keeper = subprocess.Popen([sys.executable, "-S", os.path.abspath(__file__)], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        process = subprocess.Popen(command, start_new_session=True, **options)
        seen = state(process.pid)  # a zombie at least: nobody has waited for it
        _keeper.stdin.write(b"%d %d\n" % (process.pid, seen[2]))
        _keeper.stdin.flush()
    return process


def members(session):
    """Processes of SESSION, without those that have ended."""
    seen = {pid: state(pid) for pid in every()}
    return [pid for pid, known in seen.items() if known and known[0] != "Z" and known[1] == session]


def left_of(sessions):
    """Processes in SESSIONS, {number: time of start of who began it}; a number that has come to another process since is not ours."""
    found = []
    for pid in every():
        seen = state(pid)
        if seen is None or seen[0] == "Z" or seen[1] not in sessions:
            continue
        first = state(seen[1])
        if first is None or first[2] == sessions[seen[1]]:
            found.append(pid)
    return found


def keep():
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sessions = dict(map(int, line.split()) for line in sys.stdin)
    for _ in range(ROUNDS):
        left = left_of(sessions)
        if not left:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


if __name__ == "__main__":
    keep()
