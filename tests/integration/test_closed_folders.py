"""Who may write to a folder can put another file in the place of one in it, and who may write to a configuration says what a daemon
does: `keyless check`, `-t` and a start refuse such a folder and such a file alike, and the command that they say mends it. What is too few of descriptors they say alike, too."""
import os
import pwd
import re
import resource
import signal
import subprocess

import pytest

from command import read, run
from daemon import Daemon, program
from fleet import keyless, write

PLACES = {  # folder below the trial's half, with the daemon
    "folder of keys": ("server", "server/keys"),
    "folder of the server's configuration": ("server", "server"),
    "folder of the edge's configuration": ("edge", "edge"),
    "folder of authorized_edges": ("server", "server/lists"),
    "folder below the keys": ("server", "server/keys/below"),
    "folder of the psk": ("edge", "edge/secrets"),
}
OTHERS = 1  # the group of daemon(1), an account of every Linux
MOVED = {"server/lists": ("server.conf", "authorized_edges"), "edge/secrets": ("edge.conf", "psk")}


def trial_of(side, conf, **options):
    return subprocess.run([program("keyless-" + side), "-t", "-c", conf], capture_output=True, text=True, timeout=60, **options)


def take_any_port(*confs):
    for conf in confs:
        write(conf, re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(conf)))


def open_to(path, mode):
    """As MODE says; a group that may write is one in which others are."""
    if mode & 0o020:
        if os.geteuid() != 0:
            pytest.skip("not root, who alone gives files to another group")
        os.chown(path, -1, OTHERS)
    os.chmod(path, mode)


def lay_out(trial, below):
    """Makes FOLDER, where there is none, and moves what the place is about into it."""
    folder = os.path.join(trial.top, below)
    if not os.path.isdir(folder):
        os.mkdir(folder, 0o755)
    if below.endswith("keys/below"):
        os.rename(os.path.join(trial.server, "keys/p256.pem"), os.path.join(folder, "p256.pem"))
    take_any_port(trial.server_conf, trial.edge_conf)
    if below in MOVED:
        conf, name = MOVED[below]
        half = os.path.dirname(folder)
        os.rename(os.path.join(half, name), os.path.join(folder, name))
        conf = os.path.join(half, conf)
        write(conf, read(conf).replace('%s = "%s"' % (name, name), '%s = "%s/%s"' % (name, os.path.basename(folder), name)))
    return folder


def all_refuse(side, conf, said):
    """`-t`, `check` and a start say SAID, whose group is the command that mends it; afterwards none does."""
    tested = trial_of(side, conf)
    assert tested.returncode == 2 and re.search(said, tested.stderr), tested.stderr
    checked = run("check", "-c", conf)
    assert checked.returncode == 1 and re.search("^error +" + said, checked.stdout, re.M), checked.stdout
    daemon = Daemon([program("keyless-" + side), "-c", conf])
    try:
        command = re.search(said, daemon.wait_log(said)).group(1)
    finally:
        daemon.stop()
    subprocess.run(command, shell=True, check=True)
    assert trial_of(side, conf).returncode == 0
    keyless("check", "-c", conf)


@pytest.mark.parametrize("mode, letters", [(0o777, "go"), (0o775, "g"), (0o757, "o")])
@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_folder_that_others_write_to(trial, place, mode, letters):
    side, below = PLACES[place]
    folder, conf = lay_out(trial, below), getattr(trial, side + "_conf")
    open_to(folder, mode)
    all_refuse(side, conf, r"%s: mode %04o lets others replace files in it; run: (chmod %s-w %s)" % (folder, mode, letters, folder))


# ---- configuration ----

def include_from(conf):
    """Moves what CONF says to a file that it includes."""
    included = os.path.join(os.path.dirname(conf), "rest")
    os.rename(conf, included)
    write(conf, '# nothing\ninclude("rest")\n')
    return included


@pytest.mark.parametrize("side", ["server", "edge"])
@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
@pytest.mark.parametrize("included", [False, True])
def test_a_configuration_that_others_write(trial, side, mode, included):
    conf = getattr(trial, side + "_conf")
    take_any_port(conf)
    opened = include_from(conf) if included else conf
    open_to(opened, mode)
    place = r"%s:2: include of %s" % (conf, opened) if included else opened
    all_refuse(side, conf, r"%s: mode %04o lets others change it; run: (chmod go-w %s)" % (place, mode, opened))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root, who alone mounts")
def test_a_mount_that_is_read_only_here_excuses_no_file(trial):
    """As the whole of /etc is to a unit with ProtectSystem=strict: who is outside of it writes there."""
    os.chmod(trial.server_conf, 0o666)
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" -t -c "$3"'
    tested = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", trial.top, program("keyless-server"), trial.server_conf],
                            capture_output=True, text=True, timeout=60)
    assert tested.returncode == 2 and "server.conf: mode 0666 lets others change it; run: chmod go-w" in tested.stderr, tested.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="not root, who alone gives files away")
@pytest.mark.parametrize("side", ["server", "edge"])
@pytest.mark.parametrize("what", ["file", "included file", "folder"])
def test_a_configuration_of_another_account(trial, side, what):
    """Its owner may change it. He may be the user that the daemon becomes."""
    conf = getattr(trial, side + "_conf")
    take_any_port(conf)
    given = {"file": lambda: conf, "included file": lambda: include_from(conf), "folder": lambda: os.path.dirname(conf)}[what]()
    user = pwd.getpwnam(re.search(r'^user = "(.*)"', read(conf if what != "included file" else given), re.M).group(1)).pw_uid
    os.chown(given, user, 0)
    assert trial_of(side, conf).returncode == 0
    os.chown(given, 4711, 0)
    does = "replace files in" if what == "folder" else "change"
    all_refuse(side, conf, r"%s: owned by uid 4711, who could %s it; run: (chown 0 %s)" % (given, does, given))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root, who alone gives files away")
@pytest.mark.parametrize("side", ["server", "edge"])
def test_every_file_of_a_configuration_is_judged(trial, side):
    """Also those behind one of the account that the daemon becomes."""
    conf = getattr(trial, side + "_conf")
    take_any_port(conf)
    included = include_from(conf)
    os.chown(conf, pwd.getpwnam(re.search(r'^user = "(.*)"', read(included), re.M).group(1)).pw_uid, 0)
    os.chown(included, 4711, 0)
    all_refuse(side, conf, r"%s: owned by uid 4711, who could change it; run: (chown 0 %s)" % (included, included))


@pytest.mark.parametrize("side", ["server", "edge"])
def test_the_folder_of_an_included_file_is_judged(trial, side):
    conf = getattr(trial, side + "_conf")
    take_any_port(conf)
    folder = os.path.join(os.path.dirname(conf), "conf.d")
    os.mkdir(folder, 0o755)
    write(os.path.join(folder, "more"), "# nothing\n")
    write(conf, read(conf) + 'include("conf.d/more")\n')
    os.chmod(folder, 0o777)
    all_refuse(side, conf, r"%s: mode 0777 lets others replace files in it; run: (chmod go-w %s)" % (folder, folder))


@pytest.mark.parametrize("name", ["authorized_edges", "server.conf"])
def test_each_link_on_the_way_is_judged(trial, name):
    """A link to a link to the file: who may write where the second one stands leads it elsewhere."""
    take_any_port(trial.server_conf)
    path, good = os.path.join(trial.server, name), os.path.join(trial.server, name + ".good")
    public = os.path.join(trial.top, "public")
    os.mkdir(public, 0o755)
    os.rename(path, good)
    os.symlink("../server/%s.good" % name, os.path.join(public, "link"))
    os.symlink("../public/link", path)
    keyless("check", "-c", trial.server_conf)
    os.chmod(public, 0o777)
    seen = os.path.join(trial.server, "../public")
    all_refuse("server", trial.server_conf, r"%s: mode 0777 lets others replace files in it; run: (chmod go-w %s)" % (seen, seen))


def test_a_reload_refuses_such_a_configuration(trial):
    conf = trial.server_conf
    take_any_port(conf)
    daemon = Daemon([program("keyless-server"), "-c", conf])
    try:
        daemon.wait_log("event=ready")
        os.chmod(conf, 0o666)
        since = daemon.mark()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log("event=reload_failed .*%s: mode 0666 lets others change it; run: chmod go-w " % conf, since)
        os.chmod(conf, 0o644)
        since = daemon.mark()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log("event=reloaded", since)
    finally:
        assert daemon.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="not root, whose group has nobody else in it")
def test_a_group_with_nobody_else_in_it_may_write(trial):
    """As under umask 002, where each account has a group of its own."""
    for side in ("server", "edge"):
        conf = getattr(trial, side + "_conf")
        os.chmod(conf, 0o664)
        os.chmod(include_from(conf), 0o664)
        os.chmod(os.path.dirname(conf), 0o775)
        tested = trial_of(side, conf)
        assert tested.returncode == 0, tested.stderr
        assert "\nerror" not in keyless("check", "-c", conf).stdout


def test_a_sticky_bit_is_enough(trial):
    os.chmod(trial.server + "/keys", 0o1777)
    assert trial_of("server", trial.server_conf).returncode == 0


def test_the_group_of_secret_files_may_write(trial):
    """As where a pod's volume is its fsGroup's."""
    write(trial.server_conf, read(trial.server_conf) + 'secret_files = "group"\n')
    for folder in (trial.server + "/keys", trial.server):
        os.chmod(folder, 0o770)
    assert trial_of("server", trial.server_conf).returncode == 0
    os.chmod(trial.server, 0o772)
    assert re.search(r"run: chmod o-w", trial_of("server", trial.server_conf).stderr)


@pytest.mark.parametrize("below", ["keys", "keys/below", "."])
def test_a_reload_refuses_such_a_folder(trial, below):
    """And goes on with what it has; once it is mended, the same signal reloads."""
    folder, conf = lay_out(trial, "server/keys/below"), trial.server_conf
    opened = os.path.normpath(os.path.join(trial.server, below))
    daemon = Daemon([program("keyless-server"), "-c", conf])
    try:
        daemon.wait_log("event=ready")
        os.utime(os.path.join(folder, "p256.pem"))
        open_to(opened, 0o775)
        since = daemon.mark()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log(r"%s: mode 0775 lets others replace files in it; run: chmod g-w " % opened, since)
        daemon.wait_log("event=reload_failed", since)
        os.chmod(opened, 0o755)
        since = daemon.mark()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log("event=reloaded", since)
    finally:
        assert daemon.stop() == 0


# ---- descriptors ----

def few():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def soft():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))


@pytest.mark.parametrize("side, option", [("server", "half_open_max = 900"), ("edge", "connections_max = 1500")])
def test_few_descriptors_are_said(trial, side, option):
    """The soft limit is raised, so that only the hard one counts."""
    conf = getattr(trial, side + "_conf")
    write(conf, option + "\n" + re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(conf)))
    said = r"the limit of open files is 64, and %s with .* can take (\d+); write LimitNOFILE=\1 " % option
    tested = trial_of(side, conf, preexec_fn=few)
    assert tested.returncode == 0 and re.search("warn .*event=descriptors_short .*" + said, tested.stderr), tested.stderr
    checked = subprocess.run([program("keyless"), "check", "-c", conf], capture_output=True, text=True, timeout=60, preexec_fn=few)
    assert checked.returncode == 0 and re.search("^warning +" + said, checked.stdout, re.M), checked.stdout
    script = "ulimit -n 64; exec %s -c %s" % (program("keyless-" + side), conf)
    daemon = Daemon(["/bin/sh", "-c", script])
    try:
        assert re.search(said, daemon.wait_log("event=descriptors_short"))
    finally:
        daemon.stop()
    assert "descriptors_short" not in trial_of(side, conf, preexec_fn=soft).stderr
