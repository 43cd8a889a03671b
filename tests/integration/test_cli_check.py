"""keyless check, and the daemons' own test: every fault in the files of a configuration is found and says how to mend it."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

from command import assert_found, read, replace, run, secrets_below
from daemon import PATIENCE, SanitizerReports, program
from fleet import keyless, write
from pki import openssl
from processes import start


def test_check_of_a_trial_finds_nothing(trial):
    done = keyless("check", "-c", trial.server_conf, "-c", trial.edge_conf)
    assert not re.search(r"^error", done.stdout, re.M) and not done.stderr
    assert "keyless-server -t: would start" in done.stdout and "keyless-edge -t: would start" in done.stdout
    assert done.stdout.count("certificate for localhost") == 3
    good, warnings = (len(re.findall("^%s " % level, done.stdout, re.M)) for level in ("ok", "warning"))
    assert done.stdout.splitlines()[-1] == "0 errors, %d warnings, %d things found good; looked at %s, %s and every file they name" % (
        warnings, good, trial.server_conf, trial.edge_conf)
    assert "rsa_key_exchange is on, and RFC 10015 forbids" in done.stdout
    assert not [s for s in secrets_below(trial.top) if s in done.stdout]


def test_check_json(trial):
    found = json.loads(keyless("check", "--json", "--server", trial.server_conf, "--edge", trial.edge_conf).stdout)
    assert found["errors"] == 0 and found["warnings"] == sum(f["level"] == "warning" for f in found["findings"])
    assert all(f["what"] and f["why"] for f in found["findings"])
    assert {f["level"] for f in found["findings"]} == {"ok", "warning"}
    os.chmod(os.path.join(trial.server, "keys", "rsa.pem"), 0o644)
    done = run("check", "--json", "-c", trial.server_conf)
    found = json.loads(done.stdout)
    assert done.returncode == 1 and found["errors"] == 1
    bad = [f for f in found["findings"] if f["level"] == "error"]
    assert bad[0]["what"].endswith("keys/rsa.pem") and "chmod 0400" in bad[0]["why"]


def break_mode(path):
    return lambda trial, pki: os.chmod(os.path.join(trial.top, path), 0o644)


def break_remove(path):
    def act(trial, pki):
        full = os.path.join(trial.top, path)
        shutil.rmtree(full) if os.path.isdir(full) else os.unlink(full)
    return act


def break_write(path, text, bits=0o400):
    def act(trial, pki):
        full = os.path.join(trial.top, path)
        if os.path.exists(full):
            os.chmod(full, 0o600)
        write(full, text, bits)
    return act


def break_replace(path, old, new):
    return lambda trial, pki: replace(os.path.join(trial.top, path), old, new)


def break_far_below(folder, file):
    os.makedirs(folder + "/a/b/c/d/e")
    os.symlink("..", folder + "/a/b/circle")
    shutil.copy(file, folder + "/a/b/c/d/e/tls.key")


def break_user(path):
    """As root `keyless init` has named one already."""
    def act(trial, pki):
        path_there = os.path.join(trial.top, path)
        text = re.sub(r'^user = .*\n', "", read(path_there), flags=re.M)
        with open(path_there, "w") as handle:
            handle.write('user = "nobody-at-all"\n' + text)
    return act


def break_empty(path):
    def act(trial, pki):
        for name in os.listdir(os.path.join(trial.top, path)):
            os.unlink(os.path.join(trial.top, path, name))
    return act


def break_link(path, target):
    def act(trial, pki):
        os.unlink(os.path.join(trial.top, path))
        os.symlink(target, os.path.join(trial.top, path))
    return act


SERVER_FAULTS = {
    "unknown option": (break_replace("server/server.conf", "listen =", "lisen ="), r"server\.conf:\d+: .*lisen.*listen"),
    "open identity": (break_mode("server/identity.key"), r"identity\.key: mode 0644 .*run: chmod 0400"),
    "no identity": (break_remove("server/identity.key"), r"identity\.key: no such file; .*make it with: keyless genkey > "),
    "damaged identity": (break_write("server/identity.key", "junk\n"), r"identity\.key: not one line"),
    "open key": (break_mode("server/keys/p256.pem"), r"keys/p256\.pem: mode 0644 .*run: chmod 0400"),
    "damaged key": (break_write("server/keys/rsa.pem", "junk\n"), r"keys/rsa\.pem: not a private key.*openssl pkey"),
    "no keys": (break_empty("server/keys"), r"keys: holds no key; put"),
    "no folder of keys": (break_remove("server/keys"), r"keys: the folder of keys cannot be read.*mkdir"),
    "folder that others write": (lambda t, p: os.chmod(t.server + "/keys", 0o777), r"keys: mode 0777 lets others replace files in it; run: chmod go-w \S+/keys$"),
    "open list of edges": (break_mode("server/authorized_edges"), r"authorized_edges: mode 0644 .*chmod"),
    "bad line": (break_write("server/authorized_edges", "rubbish\n"), r"authorized_edges:1: "),
    "group secret that is gone": (break_remove("server/group.secret"), r"group\.secret: no such file; it is made at the first start only, .*audit\.key is there"),
    "open group secret": (break_mode("server/group.secret"), r"group\.secret: mode 0644 .*chmod"),
    "damaged group secret": (break_write("server/group.secret", "junk\n"), r"group\.secret: not one line"),
    "no such user": (break_user("server/server.conf"), r"user nobody-at-all: no such user.*useradd"),
    "network admin": (break_replace("server/server.conf", "admin = ", 'admin = "0.0.0.0:2406" #'), r"admin: 0\.0\.0\.0:2406 is open to the network; use 127\.0\.0\.1"),
}


SERVER_FAULTS["address of another machine"] = (
    break_replace("server/server.conf", 'listen = {"', 'listen = {"192.0.2.1:2407", "'),
    r"listen: 192\.0\.2\.1:2407: not an address of this machine")


EDGE_FAULTS = {
    "unknown option": (break_replace("edge/edge.conf", "origin =", "orign ="), r"edge\.conf:\d+: .*orign.*origin"),
    "open identity": (break_mode("edge/identity.key"), r"identity\.key: mode 0644 .*run: chmod 0400"),
    "no psk": (break_remove("edge/psk"), r"psk: no such file; .*make it with: keyless genkey > "),
    "open psk": (break_mode("edge/psk"), r"psk: mode 0644 .*run: chmod 0400"),
    "no certificates": (break_empty("edge/certs"), r"certs: holds no certificate; put"),
    "no folder": (break_remove("edge/certs"), r"certs: .*No such file.*make it"),
    "folder that is a file": (break_replace("edge/edge.conf", 'certificates = "certs"', 'certificates = "psk"'), r"psk: .*Not a directory; .*names the folder, not a file"),
    "certificate that is a link to nothing": (break_link("edge/certs/rsa.pem", "/no/where.pem"),
                                              r"certs/rsa\.pem: a link to /no/where\.pem, where nothing is; put it there \(is a disk not mounted\?\), or correct the link with: ln -sfn TARGET \S+rsa\.pem"),
    "damaged certificate": (break_write("edge/certs/rsa.pem", "junk\n"), r"certs/rsa\.pem: no PEM certificate"),
    "private key": (lambda t, p: shutil.copy(p.rsa[0], t.edge + "/certs/k.pem"), r"certs/k\.pem: this file holds a private key.*move it"),
    "private key of another name": (lambda t, p: shutil.copy(p.rsa[0], t.edge + "/certs/.k.bak"), r"certs/\.k\.bak: this file holds a private key"),
    "private key far below": (lambda t, p: break_far_below(t.edge + "/certs", p.rsa[0]), r"certs/a/b/c/d/e/tls\.key: this file holds"),
    "private key in DER": (lambda t, p: openssl("pkey", "-in", p.rsa[0], "-outform", "DER", "-out", t.edge + "/certs/k"), r"certs/k: this file holds"),
    "key store": (lambda t, p: openssl("pkcs12", "-export", "-in", p.rsa[1], "-inkey", p.rsa[0], "-passout", "pass:", "-out", t.edge + "/certs/k.pem"), r"certs/k\.pem: this file holds"),
    "key of certbot": (lambda t, p: shutil.copy(p.rsa[0], t.edge + "/certs/privkey.pem"), r"certs/privkey\.pem: .*--deploy-hook.*fullchain\.pem alone"),
    "trusted certificate": (lambda t, p: openssl("x509", "-in", p.rsa[1], "-trustout", "-out", t.edge + "/certs/rsa.pem"), r"certs/rsa\.pem: .*openssl x509 -in"),
    "no such user": (break_user("edge/edge.conf"), r"user nobody-at-all: no such user"),
    "network admin": (break_replace("edge/edge.conf", "admin = ", 'admin = "0.0.0.0:2405" #'), r"admin: 0\.0\.0\.0:2405 is open to the network; use 127\.0\.0\.1"),
    "origin that is no address": (break_replace("edge/edge.conf", '"127.0.0.1:8080"', '"127.0.0.1"'), r"edge/edge\.conf: origin: 127\.0\.0\.1: a port is missing"),
    "comma for a point": (break_replace("edge/edge.conf", '"127.0.0.1:2407"', '"127.0.0,1:2407"'), r"edge/edge\.conf: key_server main: 127\.0\.0,1:2407: '127\.0\.0,1' is neither an address nor a host name"),
    "key server that is no address": (break_replace("edge/edge.conf", '"127.0.0.1:2407"', '"127.0.0.1:x"'), r"key_server main: "),
    "address of another machine": (break_replace("edge/edge.conf", 'listen = {"', 'listen = {"192.0.2.1:443", "'), r"listen: 192\.0\.2\.1:443: not an address of this machine"),
    "address twice": (break_replace("edge/edge.conf", 'listen = {"', 'listen = {"127.0.0.1:8443", "'), r"listen: 127\.0\.0\.1:8443: is there twice"),
    "socket without a folder": (break_replace("edge/edge.conf", "edge/admin.sock", "none/admin.sock"), r"admin: unix:.*none/admin\.sock: there is no folder .*mkdir"),
    "bad key of a server": (break_replace("edge/edge.conf", 'key = "', 'key = "x'), r"key_server main: .*keyless pubkey"),
}


CANNOT_START = ("origin that is no address", "comma for a point", "no such user", "network admin", "address of another machine", "address twice", "socket without a folder")


@pytest.mark.parametrize("side, fault", [("server", "no such user"), ("server", "network admin"),
                                         ("server", "address of another machine"),
                                         *(("edge", fault) for fault in CANNOT_START)])
def test_a_daemons_own_test_finds_what_cannot_start(trial, pki, side, fault):
    act, pattern = (SERVER_FAULTS if side == "server" else EDGE_FAULTS)[fault]
    act(trial, pki)
    done = subprocess.run([program("keyless-" + side), "-t", "-c", getattr(trial, side + "_conf")], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 2 and re.search(pattern, done.stderr), done.stderr


def test_a_daemons_own_test_passes_while_it_runs(shared):
    """Where it listens is taken, by itself."""
    for daemon in (shared.server, shared.edge):
        done = subprocess.run([*daemon.command, "-t"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fault", sorted(SERVER_FAULTS))
def test_check_finds_on_the_server(trial, pki, fault):
    act, pattern = SERVER_FAULTS[fault]
    act(trial, pki)
    assert_found(trial.server_conf, pattern)


@pytest.mark.parametrize("fault", sorted(EDGE_FAULTS))
def test_check_finds_on_the_edge(trial, pki, fault):
    act, pattern = EDGE_FAULTS[fault]
    act(trial, pki)
    assert_found(trial.edge_conf, pattern)


def test_check_says_what_the_daemon_hints_at(trial):
    """The hint of a line follows its error, as of a name that cannot be found, which is a warning."""
    replace(trial.edge_conf, '"127.0.0.1:8080"', '"nowhere.invalid:8080"')
    said = keyless("check", "-c", trial.edge_conf).stdout
    assert re.search(r"^warning .*nowhere\.invalid.*; correct it in \S+edge\.conf; the daemon starts without it", said, re.M), said
    assert "hint=" not in said


def test_check_finds_every_fault_at_once(trial, pki):
    for act in (break_mode("edge/psk"), break_mode("edge/identity.key"), break_write("edge/certs/rsa.pem", "junk\n")):
        act(trial, pki)
    assert_found(trial.edge_conf, "psk: mode")
    assert_found(trial.edge_conf, "identity.key: mode")
    assert_found(trial.edge_conf, "rsa.pem: no PEM")


@pytest.mark.parametrize("side, folder", [("server", "keys"), ("edge", "certs")])
def test_check_says_once_that_a_folder_is_empty(trial, side, folder):
    break_empty(side + "/" + folder)(trial, None)
    done = run("check", "-c", getattr(trial, side + "_conf"))
    assert len(re.findall(r"%s: .*(?:holds no|no usable)" % folder, done.stdout)) == 1, done.stdout


JSON_FAULTS = {
    "unknown option": lambda text: text + "nonsense = 1\n",
    "no such folder": lambda text: re.sub(r"^(keys|certificates) = .*$", r'\1 = "nowhere"', text, flags=re.M),
    "bad identity": lambda text: re.sub(r"^identity = .*$", 'identity = "nowhere"', text, flags=re.M),
}


@pytest.mark.parametrize("side", ["server", "edge"])
@pytest.mark.parametrize("fault", sorted(JSON_FAULTS))
def test_a_start_that_fails_says_so_in_json_alone(trial, side, fault):
    conf = getattr(trial, side + "_conf")
    write(conf, JSON_FAULTS[fault](read(conf)) + "log_format = json\n", 0o644)
    reports = SanitizerReports()
    done = subprocess.run([program("keyless-" + side), "-c", conf], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, **reports.env})
    reports.check()
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode != 0 and any(line["level"] == "error" and line["error"] for line in lines), done.stderr


def names_of_bad(*command):
    """Until it ends, or is ready: a key server starts without a key, an edge does not without a certificate."""
    said = ""
    with start([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout:
            said += line
            if "event=ready" in line:
                running.terminate()
    assert running.returncode != 0 or "event=ready" in said, said
    return set(re.findall(r"bad\d\d(?=\.pem)", said))


@pytest.mark.parametrize("side, folder", [("server", "keys"), ("edge", "certs")])
def test_test_check_and_start_name_every_bad_file(trial, side, folder):
    bad, conf = {"bad%02d" % number for number in range(25)}, getattr(trial, side + "_conf")
    directory = os.path.join(getattr(trial, side), folder)
    for name in os.listdir(directory):
        os.unlink(os.path.join(directory, name))
    for name in bad:
        write(os.path.join(directory, name + ".pem"), "x\n", 0o400)
    daemon = program("keyless-" + side)
    assert names_of_bad(daemon, "-t", "-c", conf) == bad
    assert names_of_bad(program("keyless"), "check", "-c", conf) == bad
    assert names_of_bad(daemon, "-c", conf) == bad


def test_a_group_may_read_secrets_where_the_configuration_says_so(trial):
    """As Kubernetes mounts a secret with fsGroup: mode 0440, by a group that the process is in."""
    folders = (os.path.dirname(str(trial.server_conf)), os.path.dirname(str(trial.edge_conf)))
    for folder in folders:
        for path in glob.glob(folder + "/**", recursive=True):
            name = os.path.basename(path)
            if name in ("identity.key", "psk", "group.secret", "audit.key", "authorized_edges") or "/keys/" in path:
                os.chmod(path, 0o440)
    hint = 'secret_files = "group"'
    for conf, files in ((trial.server_conf, ("identity.key", "authorized_edges", "keys/rsa.pem")),
                        (trial.edge_conf, ("identity.key", "psk"))):
        said = run("check", "-c", conf).stdout
        for name in files:
            assert re.search(r"^error .*%s: mode 0440 .*%s" % (re.escape(name), re.escape(hint)), said, re.M), said
        with open(conf, "a") as handle:
            handle.write("\n%s\n" % hint)
        assert not re.search(r"^error ", run("check", "-c", conf).stdout, re.M)
    for side, conf in (("server", trial.server_conf), ("edge", trial.edge_conf)):
        done = subprocess.run([program("keyless-" + side), "-t", "-c", conf], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr


def test_check_warns_of_a_key_that_nobody_has(trial):
    replace(os.path.join(trial.server, "authorized_edges"), " edge1 ", " edge1 keys=rsa,missing ")
    done = keyless("check", "-c", trial.server_conf)
    assert re.search(r"^warning .*authorized_edges:\d+: edge 'edge1' may use key 'missing'", done.stdout, re.M)
    assert "'rsa'" not in done.stdout


def test_check_warns_of_a_server_that_nobody_may_use(tmp_path, pki):
    keyless("init", "--user", "nobody", "--server", "--key", pki.rsa[0], tmp_path / "s")
    done = keyless("check", "-c", tmp_path / "s" / "server.conf")
    assert re.search(r"^warning .*authorized_edges: no edge may connect; .*keyless init --edge", done.stdout, re.M)


def test_check_needs_to_know_whose_file_it_is(tmp_path):
    path = write(tmp_path / "x.conf", "nonsense = 1\n")
    done = run("check", "-c", path)
    assert done.returncode == 2 and "--server %s or --edge %s" % (path, path) in done.stderr
    assert run("check", "--edge", path).returncode == 1


def test_check_tells_a_broken_edge_from_a_broken_server(trial):
    replace(trial.edge_conf, "tls {", "tls { nonsense = 1")
    assert "edge.conf" in assert_found(trial.edge_conf, "nonsense")


def test_check_without_the_daemons_says_what_was_left_out(trial, tmp_path):
    alone = shutil.copy(program("keyless"), tmp_path / "keyless")
    done = subprocess.run([alone, "check", "-c", trial.edge_conf], capture_output=True, text=True,
                          env=dict(os.environ, PATH="/nonexistent"))
    assert done.returncode == 0 and re.search(r"^warning .*keyless-edge: not found.*install", done.stdout, re.M)


def test_check_origin(trial, origin):
    assert re.search(r"^warning .*origin 127\.0\.0\.1:8080: .*start it", keyless("check", "-c", trial.edge_conf).stdout, re.M)
    replace(trial.edge_conf, '"127.0.0.1:8080"', '"%s"' % origin.address)
    assert "takes connections" in keyless("check", "-c", trial.edge_conf).stdout


def test_a_list_of_no_edges_is_good_and_said(trial):
    for text in ("", "# nobody yet\n"):
        write(trial.server + "/authorized_edges", text)
        done = subprocess.run([program("keyless-server"), "-t", "-c", trial.server_conf], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "is good: 0 edges" in done.stdout + done.stderr, done
        assert re.search(r'warn keyless-server event=no_edges error="\S+/authorized_edges: no edge is in it, so none can connect" '
                         r'hint="append the line that keyless init --edge prints', done.stderr), done.stderr
