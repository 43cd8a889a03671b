"""`keyless init` in folders with any name: what it writes is read by the daemons as it was meant, or it is refused before anything is made."""
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile

import pytest

from command import read, run
from daemon import PATIENCE, ROOT, Daemon, program
from fleet import keyless, write

NAMES = ['a"b', "a\\b", "a\\", 'say "hi" \\"now\\"', "a # b", "$HOME ${HOME} $(id)", "it's {x} /* */".replace("/", ":"), "100%s", "-rf", "café",
         '"; user = "root']
REFUSED = ["a\nb", "a\tb", "\x7f", 'a"\nuser = "root']


@pytest.fixture
def top():
    """Short, so that an admin socket fits below it."""
    made = tempfile.mkdtemp(prefix="kl-", dir="/tmp")
    os.chmod(made, 0o755)
    yield made
    shutil.rmtree(made)


def dump(side, conf):
    done = subprocess.run([program("keyless-" + side), "-T", "-c", conf], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def value(text, name):
    """Of a text in double quotes, as the manual has them: a backslash takes the meaning from what follows."""
    return re.sub(r"\\(.)", r"\1", re.search(r'^%s = \{?"((?:[^"\\]|\\.)*)"' % name, text, re.M).group(1))


def assert_good(side, conf):
    done = subprocess.run([program("keyless-" + side), "-t", "-c", conf], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert keyless("check", "-c", conf).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_in_a_folder_of_any_name(top, name):
    folder = os.path.join(top, name)
    said = keyless("init", "--server-listen", "127.0.0.1:2407", "--edge-listen", "127.0.0.1:0", folder).stdout
    for side, command in zip(("server", "edge"), re.findall(r"^  (keyless-\w+ -c .*)$", said, re.M)):
        conf = shlex.split(command)[2]
        assert conf == "%s/%s/%s.conf" % (folder, side, side)
        assert read(conf).startswith("# %s\n" % command)
        assert_good(side, conf)
        text = dump(side, conf)
        assert value(text, "admin") == "unix:%s/%s/admin.sock" % (folder, side)
        assert value(text, "identity") == "%s/%s/identity.key" % (folder, side)
        assert value(text, "user") == "nobody" if os.geteuid() == 0 else "user is not set" in text


def test_a_daemon_listens_where_the_configuration_says(top):
    """The path reaches the socket unchanged, also through the vault's sealed copy of the configuration."""
    folder = os.path.join(top, NAMES[3])
    keyless("init", folder)
    conf = folder + "/server/server.conf"
    write(conf, read(conf).replace("127.0.0.1:2407", "127.0.0.1:0"), 0o644)
    daemon = Daemon([program("keyless-server"), "-c", folder + "/server/server.conf"])
    try:
        daemon.wait_log("event=ready")
        assert "ready" in keyless("status", "unix:%s/server/admin.sock" % folder).stdout
    finally:
        assert daemon.stop() == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_halves_with_addresses_of_any_name(top, pki, name):
    socket_path = "unix:%s/%s.sock" % (top, name.lstrip("-"))
    server, edge = os.path.join(top, "s", name), os.path.join(top, "e", name)
    os.mkdir(os.path.join(top, "s"))
    os.mkdir(os.path.join(top, "e"))
    keyless("init", "--user", "nobody", "--server", "--key", pki.rsa[0], "--server-listen", socket_path, server)
    assert_good("server", server + "/server.conf")
    assert value(dump("server", server + "/server.conf"), "listen") == socket_path
    keyless("init", "--user", "nobody", "--edge", "--key-server", socket_path, "--server-key", "A" * 42 + "8=", "--cert", pki.rsa[1],
            "--origin", socket_path + ".o", "--edge-listen", socket_path + ".e", edge)
    text = dump("edge", edge + "/edge.conf")
    assert value(text, "    address") == socket_path
    assert value(text, "origin") == socket_path + ".o" and value(text, "listen") == socket_path + ".e"


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("form", ["itself", "above", "from there"])
def test_what_a_configuration_cannot_hold_is_refused_before_anything_is_made(top, name, form):
    folder = os.path.join(top, name)
    if form != "itself":
        os.mkdir(folder)
    place = {"itself": folder, "above": os.path.join(folder, "trial"), "from there": "trial"}[form]
    for half in ((), ("--server",), ("--edge", "--key-server", "a:1", "--server-key", "A" * 42 + "8=")):
        done = subprocess.run([program("keyless"), "init", *half, "--user", "nobody", place], capture_output=True, text=True, timeout=PATIENCE,
                              cwd=folder if form == "from there" else top)
        assert done.returncode == 2 and "control character, which no configuration can hold" in done.stderr, done.stderr
    assert os.listdir(top) == ([] if form == "itself" else [name])
    assert form == "itself" or os.listdir(folder) == []


@pytest.mark.parametrize("option", ["--server-listen", "--edge-listen", "--origin", "--key-server", "--user"])
def test_an_option_that_a_configuration_cannot_hold_is_named(top, option):
    done = run("init", "--edge", "--key-server", "a:1", "--server-key", "A" * 42 + "8=", option, "unix:/x\ty", top + "/edge")
    assert done.returncode == 2 and re.search(r"%s has a tab" % option, done.stderr), done.stderr
    assert os.listdir(top) == []


def test_where_a_socket_has_no_room_the_admin_endpoint_is_the_usual_one(top):
    """A path may be longer than that of a socket."""
    folder = os.path.join(top, "a" * 100)
    keyless("init", folder)
    for side in "server", "edge":
        conf = "%s/%s/%s.conf" % (folder, side, side)
        assert "admin" not in read(conf)
        write(conf, re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(conf)) + 'admin = "off"\n', 0o644)
        assert_good(side, conf)
    with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.bind(folder + "/server/admin.sock")


@pytest.mark.parametrize("name", ["sp ace", "a|b", "a&b", "a%b", 'a"b', "a'b", "a;b"])
@pytest.mark.parametrize("variable", ["PREFIX", "DESTDIR"])
def test_make_install_refuses_paths_that_units_and_shells_read_otherwise(top, variable, name):
    done = subprocess.run(["make", "-s", "-o", "all", "install", "DESTDIR=" + top, "%s=%s/%s" % (variable, top, name)], cwd=ROOT,
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode != 0 and "DESTDIR and PREFIX take" in done.stderr, done.stdout + done.stderr
    assert os.listdir(top) == []
