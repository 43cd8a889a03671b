"""The units of systemd: what they allow is little, as systemd-analyze reckons, and enough: each daemon is started here as its unit starts
it, by its account with the unit's capabilities, and serves from files that only root may read."""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from daemon import PATIENCE, ROOT, program
from fleet import Edge, write
import small_disk

ACCOUNT = "nobody"
CAPABILITIES = {"CAP_DAC_OVERRIDE": 1 << 1, "CAP_DAC_READ_SEARCH": 1 << 2}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as systemd is")
needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv(1)")


def setting(name, key):
    """The words of KEY= in the unit NAME."""
    with open(os.path.join(ROOT, "deploy", "systemd", name + ".service.in")) as handle:
        return re.search(r"^%s=(.*)$" % key, handle.read(), re.M).group(1).split()


def as_unit(name):
    """The beginning of a command that runs what follows as the unit does."""
    def set_of(key):
        return ",".join(["-all", *("+" + word[4:].lower() for word in setting(name, key))])
    ambient = set_of("AmbientCapabilities")
    assert setting(name, "User") == [name] and setting(name, "NoNewPrivileges") == ["yes"]
    return ["setpriv", "--reuid", ACCOUNT, "--regid", str(pwd.getpwnam(ACCOUNT).pw_gid), "--clear-groups", "--inh-caps", ambient,
            "--ambient-caps", ambient, "--bounding-set", set_of("CapabilityBoundingSet"), "--no-new-privs"]


def low_port():
    """One that only root may bind, and that is free."""
    for port in range(1023, 512, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    pytest.skip("no port below 1024 is free")


def assert_kept(pid, kept):
    """The account, and of capabilities KEPT."""
    with open("/proc/%d/status" % pid) as handle:
        status = dict(re.findall(r"^(\w+):[ \t]*(.*?)[ \t]*$", handle.read(), re.M))
    assert status["Uid"].split() == [str(pwd.getpwnam(ACCOUNT).pw_uid)] * 4, status
    assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")] == [kept, kept, 0, 0], status


@needs_root
@needs_setpriv
def test_the_daemons_serve_as_their_units_start_them(site, pki, origin):
    identity, config, folder = site.server_folder([key for key, _ in (pki.rsa, pki.p256)], listen="127.0.0.1:%d" % low_port(),
                                                  extra="memory = unlocked")
    os.unlink(os.path.join(folder, "group.secret"))
    server = site.restart_server(folder, identity, config, inside=as_unit("keyless-server"))
    supervisor = CAPABILITIES["CAP_DAC_OVERRIDE"]
    for pid, kept in [(server.pid, supervisor), *((pid, supervisor if "loader" in name else 0) for name, pid in server.children().items())]:
        assert_kept(pid, kept)
    edge = Edge(site.edge_config([(server.address, identity.public)], [pki.rsa[1], pki.p256[1]], origin.address,
                                 listen="127.0.0.1:%d" % low_port()), inside=as_unit("keyless-edge"))
    site.daemons.append(edge)
    edge.wait_ready()
    assert_kept(edge.pid, 0)
    site.add_key(os.path.join(folder, "keys"), pki.p384[0])
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log(r"event=reloaded .*keys=3", since)


@needs_root
@needs_setpriv
def test_what_a_unit_has_made_root_takes(site, pki):
    """A test by root, and a start, look at files that the account has made."""
    identity, config, folder = site.server_folder([pki.p256[0]], extra="memory = unlocked")
    os.unlink(os.path.join(folder, "group.secret"))
    server = site.restart_server(folder, identity, config, inside=as_unit("keyless-server"))
    assert os.stat(os.path.join(folder, "audit.key")).st_uid == pwd.getpwnam(ACCOUNT).pw_uid
    for arguments in (["keyless-server", "-t"], ["keyless-server", "--explain", "edge1", os.path.splitext(os.path.basename(pki.p256[0]))[0],
                                                 "sign_tls13"], ["keyless", "check"]):
        done = subprocess.run([program(arguments[0]), *arguments[1:], "-c", config], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
    server.stop()
    site.daemons.remove(server)
    site.restart_server(folder, identity, config)
    os.chown(os.path.join(folder, "audit.key"), 4321, 4321)
    done = subprocess.run([program("keyless-server"), "-t", "-c", config], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and "audit.key: owned by uid 4321, who could replace it" in done.stderr, done.stderr


def test_the_sockets_of_the_manual_pages_are_where_the_units_let_them_be():
    """Beneath /run, which a unit has read-only but for a folder that it makes."""
    named = set()
    for page in ("keyless-server.conf.5.scd", "keyless-edge.conf.5.scd"):
        with open(os.path.join(ROOT, "docs", "man", page)) as handle:
            named.update(re.findall(r"unix:/run/(keyless-[a-z]+)/", handle.read()))
    assert named == {"keyless-server", "keyless-edge"}
    for name in named:
        assert setting(name, "RuntimeDirectory") == [name]


def test_a_folder_that_may_be_missing_keeps_no_unit_from_starting():
    """A configuration may be elsewhere; systemd refuses paths that are missing, unless they begin with a minus."""
    assert setting("keyless-server", "ReadWritePaths") == ["-/etc/keyless"]


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


@pytest.mark.skipif(small_disk.missing() is not None, reason="needs mount namespaces")
@pytest.mark.parametrize("options", [(), ("-t",)], ids=["start", "test"])
def test_a_folder_that_the_unit_has_read_only_is_said_with_the_line_for_it(site, pki, tmp_path, options):
    """As ProtectSystem=strict makes it, where the audit log is to be in another place than the unit knows."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    _, config, _ = site.server_folder([pki.p256[0]], extra="")
    with open(config) as handle:
        text = handle.read()
    write(config, re.sub(r"audit \{.*?\}", "", text, flags=re.S) + 'audit { folder = "%s/audit" }\n' % elsewhere)
    done = subprocess.run([*small_disk.UNSHARE, "sh", "-c", READ_ONLY, "sh", str(elsewhere), program("keyless-server"), "-c", config, *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and "mounted read-only" in done.stderr, done.stderr
    assert "ReadWritePaths=%s into its section [Service]" % elsewhere in done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze(1), which reckons without a running systemd")
def test_the_exposure_of_the_units(tmp_path):
    """By the table of the lint, which has what may be at most; more is found."""
    lint = os.path.join(ROOT, "tests", "lint", "units.py")
    done = subprocess.run([sys.executable, lint], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(os.path.join(ROOT, "deploy", "systemd"), tmp_path / "deploy" / "systemd")
    os.makedirs(tmp_path / "tests" / "lint")
    os.makedirs(tmp_path / "common")
    shutil.copy(lint, tmp_path / "tests" / "lint")
    shutil.copy(os.path.join(ROOT, "common", "sandbox_calls.c"), tmp_path / "common")
    unit = tmp_path / "deploy" / "systemd" / "keyless-edge.service.in"
    write(unit, unit.read_text().replace("User=keyless-edge\n", ""), 0o644)
    done = subprocess.run([sys.executable, tmp_path / "tests" / "lint" / "units.py"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1 and re.search(r"^keyless-edge\.service: exposure ", done.stdout, re.M), done.stdout


@needs_root
@needs_setpriv
def test_a_user_that_nobody_can_become_is_told(site, pki, origin):
    """The unit says who runs, so what the configuration says besides has no effect, and is not passed over without a word."""
    server = site.start_server([pki.rsa[0]])
    config = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], origin.address, extra='user = "daemon"\n')
    edge = Edge(config, inside=as_unit("keyless-edge"))
    site.daemons.append(edge)
    edge.wait_ready()
    edge.wait_log(r'event=user_ignored .*user=daemon uid=%d .*hint="start it as that user' % pwd.getpwnam(ACCOUNT).pw_uid)
