"""A run of tests that ends early leaves no process, and what a test holds with SIGSTOP is no order to the daemons of another."""
import os
import re
import signal
import sys

import pytest

from daemon import PATIENCE, wait_until
from processes import members, start, whose_command_names

HERE = os.path.dirname(os.path.abspath(__file__))
# A test of a run of its own: it holds a vault, says so, and goes on when it is told to.
HOLDING = '''
import os, signal
import tls12
from daemon import program, wait_until
from pki import key_id
from processes import state

def test_a_held_vault(site, pki):
    server = site.start_server([pki.p256[0]])
    tls12.Asker(program("tests/peer_ask"), server, site.edge_identity, site.psk_path)
    vault = server.children()["keyless-vault"]
    os.kill(vault, signal.SIGSTOP)
    wait_until(lambda: state(vault)[0] == "T", "a held vault")
    open("held", "x").close()
    try:
        wait_until(lambda: os.path.exists("go on"), "leave to go on", 600)
        assert state(vault)[0] == "T"
    finally:
        os.kill(vault, signal.SIGCONT)
    assert server.stop() == 0
    assert not server.find("event=reload")
'''
# Runs its arguments in a process group of their own, whose only tie to the rest of the session is this process. Signals that a parent
# ignores, as nohup and a shell's background do, count again.
TIE = """
import signal, subprocess, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
subprocess.Popen(sys.argv[1:], process_group=0)
sys.stdin.read()
"""


class Run:
    """The run of HOLDING in FOLDER, whose vault is held from here on; `pid` is pytest's."""

    def __init__(self, folder):
        self.folder = str(folder)
        (folder / "test_holding.py").write_text(HOLDING)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "conftest", "-q",
                   "--basetemp", str(folder / "temp"), str(folder / "test_holding.py")]
        with open(folder / "output", "wb") as output:
            self.tie = start([sys.executable, "-c", TIE, *command], cwd=folder, stdin=-1, stdout=output, stderr=output,
                             env={**os.environ, "PYTHONPATH": HERE})
        wait_until(lambda: os.path.exists(folder / "held") or re.search(r"\d (failed|error)", self.output()), "a held vault")
        assert os.path.exists(folder / "held"), self.output()
        self.pid = next(pid for pid in self.members() if os.getpgid(pid) == pid and pid != self.tie.pid)

    def members(self):
        """The processes of its session, without those that have ended."""
        return members(self.tie.pid)

    def output(self):
        with open(os.path.join(self.folder, "output")) as handle:
            return handle.read()

    def close(self):
        self.tie.stdin.close()
        self.tie.wait(PATIENCE)
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path)
    yield made
    made.close()


def none_left(run):
    wait_until(lambda: not whose_command_names(run.folder), "the end of all of its processes")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_interrupted_leaves_no_process(run, number):
    os.killpg(run.pid, number)  # Ctrl-C reaches the whole group
    run.tie.stdin.close()
    none_left(run)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in run.output()


def test_a_held_process_is_no_order_to_the_others_when_their_group_becomes_an_orphan(run):
    run.tie.stdin.close()
    run.tie.wait(PATIENCE)
    open(os.path.join(run.folder, "go on"), "x").close()
    none_left(run)
    assert "1 passed" in run.output(), run.output()
