"""Fixtures: one certificate authority and one ordinary site for the whole run, and a fresh site for tests that break things."""
import os
import resource
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests", "lib"), os.path.join(TOP, "deploy", "demo")]
sys.dont_write_bytecode = True

from daemon import PATIENCE  # noqa: E402
from origin import HttpOrigin  # noqa: E402
from pki import Authority  # noqa: E402
from fleet import Site, keyless  # noqa: E402
from written_log import WrittenLog  # noqa: E402


def pytest_configure():
    """Thousands of clients at once: 1024 descriptors, many a machine's soft limit, are too few for us and the daemons."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Pki:
    """Keys and certificates for `*.test`: attribute per type, (key, certificate)."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        for name, key_type in (("rsa", "rsa2048"), ("rsa3072", "rsa3072"), ("rsa4096", "rsa4096"), ("p256", "p256"),
                               ("p384", "p384"), ("ed25519", "ed25519")):
            setattr(self, name, self.authority.issue(name, key_type, [name + ".test"]))

    @property
    def ca(self):
        return self.authority.ca

    @property
    def all(self):
        return [self.rsa, self.rsa3072, self.rsa4096, self.p256, self.p384, self.ed25519]


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def origin():
    running = HttpOrigin()
    yield running
    running.close()


@pytest.fixture
def site(tmp_path, pki):
    """A site without daemons; the test starts what it wants to break."""
    made = Site(tmp_path / "site", pki.authority)
    yield made
    made.close()


@pytest.fixture
def trial(tmp_path):
    """What `keyless init` makes; attributes of the paths that tests want."""
    folder = tmp_path / "trial"
    keyless("init", folder)

    class Trial:
        top = str(folder)
        server, edge = str(folder / "server"), str(folder / "edge")
        server_conf, edge_conf = str(folder / "server" / "server.conf"), str(folder / "edge" / "edge.conf")
    return Trial


@pytest.fixture(scope="session")
def shared(tmp_path_factory, pki, origin):
    """A running key server and edge with every key type, for tests that break nothing: .server, .edge, .site."""
    made = Site(tmp_path_factory.mktemp("shared"), pki.authority)
    made.server = made.start_server([key for key, _ in pki.all])
    made.edge = made.start_edge([made.server], [cert for _, cert in pki.all], origin.address)
    yield made
    made.close()


@pytest.fixture(scope="module")
def written_log(tmp_path_factory, pki):
    """A whole log of several files, for tests that only read it or change a copy."""
    return WrittenLog(tmp_path_factory.mktemp("audit"), {"www": pki.p256[0], "shop": pki.rsa[0]}).end()


@pytest.fixture
def log_copy(written_log, tmp_path):
    """A copy to spoil."""
    return written_log.copy(tmp_path)


@pytest.fixture
def live_log(tmp_path, pki):
    """A log whose writer goes on when it is told to."""
    made = WrittenLog(tmp_path / "live", {"www": pki.p256[0], "shop": pki.rsa[0]})
    yield made
    if made.process.poll() is None:
        made.process.stdin.close()
        made.process.wait(timeout=PATIENCE)
