"""Whom the daemons become: as root nobody keeps root by oversight, and what answers peers keeps nothing of it."""
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from daemon import PATIENCE, Daemon, program
from fleet import Site, keyless, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
CAPABILITIES = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]


def threads_of(pid):
    """What the kernel says of each thread of PID: {field: text}."""
    found = []
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task)) as handle:
            found.append(dict(re.findall(r"^(\w+):[ \t]*(.*?)[ \t]*$", handle.read(), re.M)))
    return found


def assert_nothing_of_root(pid):
    for thread in threads_of(pid):
        assert "0" not in thread["Uid"].split() and "0" not in thread["Gid"].split(), thread
        assert "0" not in thread["Groups"].split(), thread
        assert [int(thread[name], 16) for name in CAPABILITIES] == [0] * 5, thread
        assert thread["NoNewPrivs"] == "1", thread


def child(server, part):
    return next(pid for name, pid in server.children().items() if part in name)


def without_user(path):
    with open(path) as handle:
        text = handle.read()
    with open(path, "w") as handle:
        handle.write(re.sub(r"^user = .*\n", "", text, flags=re.M))
    return path


def refused(name, conf):
    done = subprocess.run([program(name), "-c", conf], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2, done.stderr
    return done.stderr


def test_a_start_as_root_without_a_user_is_refused(site, pki, origin):
    _, server_conf, _ = site.server_folder([pki.p256[0]])
    edge_conf = site.edge_config([site.absent_server()], [pki.p256[1]], origin.address)
    for name, conf in (("keyless-server", server_conf), ("keyless-edge", edge_conf)):
        said = refused(name, without_user(conf))
        assert "started as root, and no user is named" in said and "user = " in said, said
        assert "listening" not in said


def test_root_is_kept_only_by_its_name_and_then_without_capabilities(site, pki, origin):
    server = site.start_server([pki.p256[0]], extra='user = "root"')
    edge = site.start_edge([server], [pki.p256[1]], origin.address, extra='user = "root"')
    server.wait_log("event=root_kept")
    edge.wait_log("event=root_kept")
    for pid in (edge.pid, child(server, "net"), child(server, "vault")):
        for thread in threads_of(pid):
            assert [int(thread[name], 16) for name in CAPABILITIES] == [0] * 5, thread


def test_a_trial_made_by_root_runs_as_another(tmp_path, pki, origin):
    """In a folder that others may enter and in one that they may not."""
    for mode in (0o755, 0o700):
        top = tmp_path / ("trial%o" % mode)
        top.mkdir()
        keyless("init", "--edge-listen", "127.0.0.1:0", top)
        conf = top / "server" / "server.conf"
        write(conf, conf.read_text().replace("127.0.0.1:2407", "127.0.0.1:0"), 0o644)
        os.chmod(top, mode)
        server = Daemon([program("keyless-server"), "-c", str(top / "server" / "server.conf")])
        try:
            server.wait_log("event=ready")
            assert_nothing_of_root(child(server, "net"))
            assert_nothing_of_root(child(server, "vault"))
        finally:
            assert server.stop() == 0


# ---- the README's steps, as root, on a machine of their own ----

def alone(folder):
    """The beginning of a command that runs in a network and with an /etc of its own: FOLDER's."""
    script = ('mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && '
              'ip link set lo up && exec "$@"')
    return ["unshare", "--mount", "--net", "sh", "-c", script, str(folder)]


@pytest.fixture
def machine(tmp_path):
    """A folder with accounts of its own, as `make install` makes them."""
    for name in ("passwd", "group"):  # without the accounts of a machine where keyless is installed
        with open("/etc/" + name) as handle:
            (tmp_path / name).write_text("".join(line for line in handle if not line.startswith("keyless-")))
    with open(tmp_path / "passwd", "a") as users, open(tmp_path / "group", "a") as groups:
        for number, name in enumerate(("keyless-server", "keyless-edge"), 60701):
            users.write("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n" % (name, number, number))
            groups.write("%s:x:%d:\n" % (name, number))
    if subprocess.run([*alone(tmp_path), "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine gives no namespaces")
    return tmp_path


def test_the_steps_of_the_readme_leave_nothing_of_root(machine, pki):
    def run(*words):
        done = subprocess.run([*alone(machine), program("keyless"), *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run("init", "--server", "--key", pki.rsa[0], machine / "server")
    key = re.search(r"--server-key (\S+)", said).group(1)
    said = run("init", "--edge", "--key-server", "127.0.0.1:2407", "--server-key", key, "--cert", pki.rsa[1], machine / "edge")
    with open(machine / "server" / "authorized_edges", "a") as handle:
        handle.write(re.search(r"^\S+ edge1 psk=.*\n", said, re.M).group(0))
    server = Daemon([*alone(machine), program("keyless-server"), "-c", machine / "server" / "server.conf"])
    edge = None
    try:
        server.wait_log("event=ready")
        # In the key server's network: the edge's command joins it instead of making one.
        inside = ["nsenter", "--target", str(server.pid), "--mount", "--net"]
        edge = Daemon([*inside, program("keyless-edge"), "-c", machine / "edge" / "edge.conf"])
        edge.wait_log("event=key_server_connected")
        edge.wait_log(r"event=listening\b.*:443")
        for pid, user in ((child(server, "net"), 60701), (child(server, "vault"), 60701), (edge.pid, 60702)):
            assert_nothing_of_root(pid)
            assert threads_of(pid)[0]["Uid"].split() == [str(user)] * 4
        said = subprocess.run([*inside, "openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", "rsa.test",
                               "-CAfile", pki.ca, "-verify_return_error"], input="", capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
    finally:
        if edge is not None:
            assert edge.stop() == 0
        assert server.stop() == 0
    edge.wait_log("event=stopped")


@pytest.fixture
def open_site(pki):
    """A site in a folder that every user may pass. Another run of tests closes pytest's own, which all runs of a user share."""
    folder = tempfile.mkdtemp(prefix="keyless-open-")
    os.chmod(folder, 0o711)
    made = Site(os.path.join(folder, "site"), pki.authority)
    try:
        yield made
        made.close()
    finally:
        shutil.rmtree(folder)


def test_a_low_port_is_bound_with_one_capability_that_goes(open_site, pki, origin):
    """As a service manager starts it: never root, CAP_NET_BIND_SERVICE ambient."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (package util-linux) is missing")
    site = open_site
    conf = site.edge_config([site.absent_server()], [pki.p256[1]], origin.address, listen="127.0.0.1:443")
    shutil.chown(site.edge_identity.path, "nobody")
    shutil.chown(site.psk_path, "nobody")
    for path, _, files in os.walk(site.folder):
        os.chmod(path, 0o755)
        for name in files:
            if name.endswith((".conf", ".pem", ".crt")):
                os.chmod(os.path.join(path, name), 0o644)
    edge = Daemon(["unshare", "--net", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps",
                   "-all,+net_bind_service", "--ambient-caps", "-all,+net_bind_service", "--bounding-set",
                   "-all,+net_bind_service", program("keyless-edge"), "-c", conf])
    try:
        edge.wait_log("event=started")
        for thread in threads_of(edge.pid):
            assert [int(thread[name], 16) for name in CAPABILITIES if name != "CapBnd"] == [0] * 4, thread
    finally:
        assert edge.stop() == 0


# ---- memory ----

def with_little_memory_to_lock():
    """The beginning of a command that keeps root and may lock nothing."""
    return ["prlimit", "--memlock=0:0", "setpriv", "--bounding-set", "-ipc_lock,-sys_resource", "--inh-caps",
            "-ipc_lock,-sys_resource"]


def test_what_root_has_put_into_the_audit_log_belongs_to_the_user_after_a_start(site, pki):
    """A file made ahead, or put back after it was kept elsewhere; but no link, since the user may have put that there."""
    _, conf, folder = site.server_folder([pki.p256[0]])
    audit, first = folder + "/audit", "audit-000000000001.jsonl"
    server = Daemon([program("keyless-server"), "-c", conf])
    server.wait_log("event=ready")
    owner = os.stat(audit).st_uid
    assert owner != 0 and server.stop() == 0
    for name in (first, "head"):
        assert os.stat(os.path.join(audit, name)).st_uid == owner
        os.chown(os.path.join(audit, name), 0, 0)
    mine = folder + "/of-root"
    open(mine, "x").close()
    link = audit + "/audit-000000099999.jsonl"
    os.link(mine, link)
    for again in ("put back", "made ahead"):
        if again == "made ahead":
            os.unlink(link)
            os.unlink(audit + "/head")
            with open(os.path.join(audit, first), "w"):  # and empty
                os.chown(os.path.join(audit, first), 0, 0)
        server = Daemon([program("keyless-server"), "-c", conf])
        server.wait_log("event=ready")
        assert server.stop() == 0
        assert {os.stat(os.path.join(audit, name)).st_uid for name in (first, "head")} == {owner}
    assert os.stat(mine).st_uid == 0
    keyless("audit", "verify", audit)


locks = pytest.mark.skipif(bool(os.environ.get("SAN")), reason="a sanitizer's shadow is too large to be locked")


@locks
def test_keys_are_locked_into_memory_whatever_the_limit_of_the_user(site, pki):
    server = site.start_server([key for key, _ in pki.all])
    server.wait_log("event=sandbox .*memory=locked")
    with open("/proc/%d/status" % child(server, "vault")) as handle:
        assert int(re.search(r"VmLck:\s+(\d+)", handle.read()).group(1)) > 0


@locks
def test_keys_that_cannot_be_locked_are_an_error_unless_it_is_said(site, pki):
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        pytest.skip("setpriv or prlimit (package util-linux) is missing")
    identity, conf, folder = site.server_folder([pki.p256[0]], extra="memory = locked")
    done = subprocess.run([*with_little_memory_to_lock(), program("keyless-server"), "-c", conf], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 2 and "cannot be locked into memory" in done.stderr and "memory = unlocked" in done.stderr, done.stderr
    with open(conf) as handle:
        text = handle.read()
    with open(conf, "w") as handle:
        handle.write(text.replace("memory = locked", "memory = unlocked"))
    server = site.restart_server(folder, identity, conf, inside=with_little_memory_to_lock())
    server.wait_log("event=sandbox .*memory=unlocked")
