"""The demo's own end: a signal at any moment leaves no process and no file behind."""
import os
import re
import signal
import subprocess
import sys
import tempfile

import pytest

from daemon import BUILD, PATIENCE, ROOT, wait_until
from processes import start, whose_command_names

DEMO = os.path.join(ROOT, "deploy", "demo")


@pytest.fixture
def short_path():
    """An empty folder. The demo's sockets lie in it, and a socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="keyless-") as folder:
        yield folder


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", [r"A trial site", r"Staying up"])
def test_a_signal_ends_the_demo_and_leaves_nothing(tmp_path, short_path, number, moment):
    if moment == "Staying up" and number != signal.SIGHUP:
        pytest.skip("one of them shows it; a whole demo takes long")
    env = {**os.environ, "TMPDIR": short_path, "BUILD": BUILD, "KEEP": "1", "NO_COLOR": "1"}
    with open(tmp_path / "output", "w+") as output:
        demo = start([os.path.join(DEMO, "demo.py")], env=env, stdout=output, stderr=output)
        try:
            wait_until(lambda: re.search(moment, open(output.name).read()) or demo.poll() is not None, moment, 3 * PATIENCE)
            demo.send_signal(number)
            assert demo.wait(3 * PATIENCE) == 128 + number, open(output.name).read()
        finally:
            if demo.poll() is None:
                demo.kill()
    wait_until(lambda: not whose_command_names(short_path), "the end of all of its processes")
    assert os.listdir(short_path) == []


MAKEFILE = """all: a b
a b:
\t@printf '  %-7s %s\\n' 'CC' '$@'
\t@touch $@
bad:
\t@printf '  %-7s %s\\n' 'CC' '$@'
\t@echo why; false
"""


def test_a_build_is_one_quiet_line_and_a_failure_says_why(tmp_path):
    (tmp_path / "Makefile").write_text(MAKEFILE)
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}

    def build(target):
        return subprocess.run([sys.executable, os.path.join(DEMO, "build.py"), "make", target], cwd=tmp_path, env=env,
                              capture_output=True, text=True)

    first, again, bad = build("all"), build("all"), build("bad")
    assert (first.returncode, first.stdout) == (0, "Building the programs (2 steps)\n")
    assert (again.returncode, again.stdout) == (0, "")
    assert bad.returncode == 2 and "why" in bad.stderr
