"""`-t`, `-T`, `--explain` and `keyless check` only look: they make and change nothing, say what a start will make, and complain first of
what is to be mended first."""
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from command import read
from daemon import PATIENCE, Daemon, program
from fleet import keyless, write

ROOT = os.geteuid() == 0
ANOTHER = "nobody"
MADE = ("group.secret", "audit", "audit.key")  # at the first start, in this order


def state_of(top):
    """Everything that the kernel knows of every file below TOP but when it was read, and what is in it."""
    found = {}
    for path, folders, names in os.walk(top):
        for name in [".", *folders, *names]:
            full = os.path.normpath(os.path.join(path, name))
            info = os.lstat(full)
            with open(full, "rb") if os.path.isfile(full) else open(os.devnull, "rb") as handle:
                content = handle.read()
            found[full] = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink, info.st_size, info.st_mtime_ns, info.st_ctime_ns,
                           info.st_ino, content)
    return found


class Place:
    """A new configuration that has never been started, in a folder that WHO can reach, as the copies of the programs are; run()
    acts as WHO."""

    def __init__(self, who):
        self.top = tempfile.mkdtemp(prefix="keyless-dry-")
        self.programs = tempfile.mkdtemp(prefix="keyless-dry-")
        for folder in (self.top, self.programs):
            os.chmod(folder, 0o711)
        for name in ("keyless", "keyless-edge", "keyless-server"):
            shutil.copy(program(name), self.programs)
        self.who = {} if who is None else {"user": who, "group": pwd.getpwnam(who).pw_gid, "extra_groups": []}
        self.trial = os.path.join(self.top, "trial")
        keyless("init", self.trial)
        self.server, self.edge = os.path.join(self.trial, "server"), os.path.join(self.trial, "edge")
        self.confs = {"server": self.server + "/server.conf", "edge": self.edge + "/edge.conf"}
        for name in "group.secret", "audit.key", "audit.pub":
            os.unlink(self.server + "/" + name)
        for side, conf in self.confs.items():
            write(conf, re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(conf)) + (
                "memory = unlocked\n" if side == "server" else ""), 0o644)
        if who is not None:
            for path, folders, names in os.walk(self.trial):
                for name in [".", *folders, *names]:
                    shutil.chown(os.path.join(path, name), who, pwd.getpwnam(who).pw_gid)

    def run(self, *command):
        return subprocess.run([os.path.join(self.programs, command[0]), *command[1:]], capture_output=True, text=True, timeout=PATIENCE, cwd="/", **self.who)

    def test(self, side):
        return self.run("keyless-" + side, "-t", "-c", self.confs[side])


@pytest.fixture(params=["as root", "as another"])
def place(request):
    if not ROOT and request.param == "as root":
        pytest.skip("is not root")
    made = Place(ANOTHER if ROOT and request.param == "as another" else None)
    try:
        yield made
    finally:
        shutil.rmtree(made.top)
        shutil.rmtree(made.programs)


def commands(place):
    server, edge = place.confs["server"], place.confs["edge"]
    return [("keyless-server", "-t", "-c", server), ("keyless-server", "-T", "-c", server),
            ("keyless-server", "--explain", "edge1", "rsa", "rsa_master", "-c", server),
            ("keyless", "check", "-c", server), ("keyless", "check", "--explain", "edge1", "rsa", "rsa_master", "-c", server),
            ("keyless-edge", "-t", "-c", edge), ("keyless-edge", "-T", "-c", edge), ("keyless", "check", "-c", edge)]


def test_looking_changes_nothing(place):
    """Of a new configuration, and of one that was started before."""
    for again in (False, True):
        before = state_of(place.top)
        for command in commands(place):
            done = place.run(*command)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            assert state_of(place.top) == before, command
        if not again:
            start(place)


@contextlib.contextmanager
def started(place):
    """The key server, while it is ready."""
    script = "exec %s -c %s" % (os.path.join(place.programs, "keyless-server"), place.confs["server"])
    inside = ["setpriv", "--reuid", ANOTHER, "--regid", str(place.who["group"]), "--clear-groups"] if place.who else []
    daemon = Daemon([*inside, "sh", "-c", script])
    try:
        daemon.wait_log("event=ready")
        yield daemon
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0


def start(place):
    """Until it is ready."""
    with started(place):
        pass


def test_what_a_start_makes_is_said_and_made(place):
    said = place.test("server").stdout
    paths = re.findall(r"^a start makes .*: (/\S+)$", said, re.M)
    assert paths == [os.path.join(place.server, name) for name in MADE], said
    assert not any(os.path.exists(path) for path in paths)
    checked = place.run("keyless", "check", "-c", place.confs["server"]).stdout
    assert re.findall(r"^ok +a start makes .*: (/\S+)$", checked, re.M) == paths, checked
    start(place)
    assert all(os.path.exists(path) for path in paths)
    assert "a start makes" not in place.test("server").stdout


def assert_refused(place, pattern):
    before = state_of(place.top)
    done = place.test("server")
    assert done.returncode == 2 and re.search(pattern, done.stderr), (done.stdout, done.stderr)
    assert state_of(place.top) == before


@pytest.mark.parametrize("option, value", [("group_secret", "none/group.secret"), ("audit.key", "none/audit.key"),
                                           ("audit.folder", "none/audit"), ("identity", "none/identity.key"),
                                           ("authorized_edges", "none/authorized_edges")])
def test_where_a_folder_is_missing_that_is_said_and_mended(place, option, value):
    """Not what is missing in it, which could not be made there."""
    conf, (section, _, name) = place.confs["server"], option.rpartition(".")
    write(conf, re.sub(r"^%s = .*\n" % option, "", read(conf), flags=re.M)
          + ("%s { %s = \"%s\" }\n" if section else "%s%s = \"%s\"\n") % (section, name, value), 0o644)
    assert_refused(place, r"%s/none/\S+: is missing, and so is the folder for it, %s/none; make it with: mkdir -p %s/none[\s\"]"
                   % ((place.server,) * 3))


def test_what_a_start_could_not_make_is_refused(place):
    if "user" in place.who:
        os.chmod(place.server, 0o555)
        assert_refused(place, r": is missing, and uid \d+ cannot make (it|files) in %s; " % place.server)
        assert "chown" not in place.test("server").stderr
    os.chmod(place.server, 0o755)
    os.mkdir(place.server + "/audit", 0o500)
    owner = pwd.getpwnam(ANOTHER).pw_uid if ROOT else os.getuid()
    os.chown(place.server + "/audit", owner, -1)
    assert_refused(place, r"%s/audit: mode 0500 keeps its owner, the vault, from making files there; run: chmod 0700 " % place.server)


@pytest.mark.skipif(not ROOT, reason="only root gives folders away")
def test_a_folder_of_a_start_that_was_killed_is_given_away_by_the_next(trial):
    """Between making it and giving it away; with something in it, it is somebody's."""
    write(trial.server_conf, re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(trial.server_conf)))
    audit = trial.server + "/audit"
    os.mkdir(audit, 0o700)
    command = [program("keyless-server"), "-t", "-c", trial.server_conf]
    assert subprocess.run(command, capture_output=True, timeout=PATIENCE).returncode == 0
    assert os.stat(audit).st_uid == 0
    write(audit + "/head", "")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and "run: chown -R" in done.stderr, done.stderr
    os.unlink(audit + "/head")
    daemon = Daemon([program("keyless-server"), "-c", trial.server_conf])
    try:
        daemon.wait_log("event=ready")
        assert os.stat(audit).st_uid == pwd.getpwnam(ANOTHER).pw_uid
    finally:
        assert daemon.stop() == 0


# ---- the first thing that is said is the first to be mended ----

@pytest.mark.skipif(not ROOT, reason="needs root")
@pytest.mark.parametrize("side", ["server", "edge"])
def test_whom_to_become_is_said_before_what_follows_from_it(trial, side):
    """By the user follows whose the files must be, and what can be listened to."""
    conf = getattr(trial, side + "_conf")
    write(conf, re.sub(r"^user = .*\n", "", read(conf), flags=re.M).replace("127.0.0.1:", "192.0.2.1:"), 0o644)
    os.mkdir(trial.server + "/audit", 0o700)
    os.chown(trial.server + "/audit", 4321, 4321)
    for command in (["keyless-" + side, "-t"], ["keyless", "check"]):
        done = subprocess.run([program(command[0]), *command[1:], "-c", conf], capture_output=True, text=True, timeout=PATIENCE)
        first = next(line for line in (done.stderr + done.stdout).splitlines() if not line.startswith("ok "))
        assert done.returncode != 0 and "no user is named to become" in first, (done.stdout, done.stderr)
        assert "chown" not in done.stdout + done.stderr


def change(conf, **options):
    """Writes the top-level OPTIONS of CONF anew."""
    text = re.sub(r"^(%s) = .*\n" % "|".join(options), "", read(conf), flags=re.M)
    write(conf, "".join("%s = %s\n" % option for option in options.items()) + text, 0o644)


def complaints(place, side):
    """What -t says is wrong, line by line, each of which `check` says once, and no other error."""
    done = place.test(side)
    assert done.returncode == 2 and "OK" not in done.stdout and "is good" not in done.stdout, (done.stdout, done.stderr)
    start = "keyless-%s: " % side
    said = [line[len(start):] for line in done.stderr.splitlines() if line.startswith(start)]
    checked = json.loads(place.run("keyless", "check", "--json", "-c", place.confs[side]).stdout)
    errors = ["%s: %s" % (finding["what"], finding["why"]) for finding in checked["findings"] if finding["level"] == "error"]
    assert set(said) <= set(errors) and len(set(errors)) == len(errors), (said, errors)
    return said, errors


def assert_all(lines, *patterns):
    for pattern in patterns:
        assert len([line for line in lines if re.search(pattern, line)]) == 1, (pattern, lines)
    assert len(lines) == len(patterns), lines


LISTEN = '{"127.0.0.1:99999", "127.0.0.1:0", "192.0.2.1:443"}'
ADDRESSES = ("listen: 127.0.0.1:99999: ", "listen: 192.0.2.1:443: not an address of this machine", "admin: 0.0.0.0:9100 is open to the network")


def test_a_dry_run_of_an_edge_tells_of_every_fault(place):
    change(place.confs["edge"], listen=LISTEN, admin='"0.0.0.0:9100"', origin='"127.0.0.1:http"')
    os.unlink(place.edge + "/identity.key")
    said, errors = complaints(place, "edge")
    assert_all(said, *ADDRESSES, "origin: 127.0.0.1:http: ", "identity.key: ")
    assert set(errors) == set(said)


def test_a_dry_run_of_a_key_server_tells_of_every_fault(place):
    change(place.confs["server"], listen=LISTEN, admin='"0.0.0.0:9100"')
    os.unlink(place.server + "/identity.key")
    write(place.server + "/authorized_edges", "nonsense\n", 0o600)
    if place.who:
        shutil.chown(place.server + "/authorized_edges", place.who["user"], place.who["group"])
    said, errors = complaints(place, "server")
    assert_all(said, *ADDRESSES, "identity.key: ", "authorized_edges:1: ")
    assert set(errors) == set(said)


def test_what_hangs_on_the_user_is_left_out_when_there_is_none(place):
    for side, file in (("edge", "identity.key"), ("server", "authorized_edges")):
        change(place.confs[side], user='"nosuch"', listen=LISTEN)
        os.unlink(os.path.join(place.top, "trial", side, file))
        said, _ = complaints(place, side)
        assert_all(said, *ADDRESSES[:2], "nosuch")


def test_an_empty_configuration_leads_to_one_that_is_good(tmp_path):
    """Whoever mends what is said first, and nothing else, is through after as many rounds as there are things to make."""
    conf = write(tmp_path / "server.conf", "", 0o644)
    steps = [(r"no user is named", lambda: write(conf, read(conf) + 'user = "nobody"\n', 0o644)),
             (r"make it with: (keyless genkey > \S+)", None), (r"authorized_edges: no such file", lambda: write(tmp_path / "authorized_edges", "")),
             (r"make it with: (mkdir .*)", None), (r"holds no key", None)]
    for pattern, mend in steps[0 if ROOT else 1:]:
        done = subprocess.run([program("keyless-server"), "-t", "-c", conf], capture_output=True, text=True, timeout=PATIENCE)
        faults = [line for line in done.stderr.splitlines() if "event=no_edges" not in line]  # a warning: that is allowed
        found = re.search(pattern, faults[0])
        assert done.returncode == 2 and found, done.stderr
        if mend:
            mend()
        elif found.groups():
            path = os.path.dirname(program("keyless")) + os.pathsep + os.environ["PATH"]
            subprocess.run(found.group(1).rstrip('"'), shell=True, check=True, env={**os.environ, "PATH": path})
