"""The command: what each verb does, how it ends, and that every complaint says what would mend it."""
import base64
import datetime
import glob
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from command import mode, read, replace, run, secrets_below
from daemon import PATIENCE, Daemon, SanitizerReports, program
from fleet import keyless, write
from pki import key_id, openssl, sign

SECRET = re.compile(r"\A[A-Za-z0-9+/]{43}=\n\Z")


def admin(daemon):
    return "%s:%d" % (daemon.admin.host, daemon.admin.port)


# ---- the command itself ----

def test_version_and_help():
    assert re.match(r"keyless \d+\.\d+\.\d+\n", keyless("--version").stdout)
    text = keyless("help").stdout
    verbs = ["init", "genkey", "pubkey", "check", "status", "ping", "keys", "bench", "trace", "audit"]
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")] == verbs
    for verb in verbs:
        assert keyless("help", verb).stdout == keyless(verb, "--help").stdout
        assert keyless(verb, "--help").stdout.startswith("usage: keyless %s" % verb)


@pytest.mark.parametrize("arguments, said", [
    ((), "usage: keyless VERB"),
    (("frobnicate",), "there is no verb 'frobnicate'"),
    (("chekc",), "there is no verb 'chekc'; did you mean 'check'?"),
    (("help", "statsu"), "did you mean 'status'?"),
    (("bench", "--secnds", "1"), "there is no option --secnds; did you mean --seconds?"),
    (("check", "-c"), "-c needs a value"),
    (("check", "--frobnicate"), "frobnicate"),
    (("check", "server.conf"), "-c FILE"),
    (("check", "--from", "192.0.2.1"), "belong to --explain"),
    (("check", "--explain", "a", "b"), "three words: EDGE KEY OPERATION"),
    (("check", "--explain", "a", "b", "c", "--edge", "edge.conf"), "name one server.conf"),
    (("check", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf: cannot be read: No such file"),
    (("check", *["-c", "x"] * 17), "more than 16 files"),
    (("status", "--frobnicate"), "frobnicate"),
    (("status", "nonsense"), "nonsense"),
    (("genkey", "a", "b"), "one file at most"),
    (("pubkey", "a", "b"), "a secret is never an argument"),
    (("pubkey", "/nonexistent/identity.key"), "mkdir -p /nonexistent"),
    (("init",), "name one folder"),
    (("init", "--server", "--edge", "x"), "halves"),
    (("init", "--edge", "x"), "--key-server ADDRESS and --server-key KEY"),
    (("init", "--edge", "--key-server", "h", "--server-key", "abc", "x"), "keyless pubkey identity.key"),
    (("init", "--origin", "127.0.0.1,8080", "x"), "--origin 127.0.0.1,8080: '127.0.0.1,8080' is neither an address nor a host name"),
    (("init", "--edge", "--key-server", "127.0.0,1:2407", "--server-key", "A" * 42 + "8=", "x"), "--key-server 127.0.0,1:2407: "),
    (("init", "--server", "--server-listen", "0.0.0.0:24O7", "x"), "'24O7' is not a port"),
    (("init", "--key", "k", "x"), "both --key and --cert"),
    (("init", "--host", "a,b", "x"), "not a host name"),
    (("ping", "-n", "0"), "from 1 to 100000"),
    (("ping", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf"),
    (("keys", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf"),
    (("bench", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf"),
    (("bench", "--frobnicate"), "frobnicate"),
    (("bench", "--op", "keys"), "sign_tls13, sign_tls12, rsa_master, rsa_premaster"),
    (("bench", "--key", "rsa1024"), "rsa2048, rsa3072, rsa4096, p256"),
    (("bench", "--in-flight", "1,0"), "from 1 to 65536, such as 1,8,64"),
    (("bench", "--channels", "65"), "from 1 to 64"),
    (("bench", "--seconds", "0"), "from 0.01 to 3600"),
    (("bench", "--warm-up", "-1"), "from 0 to 3600"),
    (("bench", "--name", "a" * 254), "a host name"),
    (("bench", *["-c", "x"] * 17), "more than 16 edges"),
    (("bench", "one", "two"), "one SERVER at most"),
])
def test_wrong_use_ends_with_2_and_says_what_is_right(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and not done.stdout


# ---- genkey, pubkey ----

def test_genkey_pipes_into_pubkey():
    secret = keyless("genkey").stdout
    assert SECRET.match(secret) and secret != keyless("genkey").stdout
    public = keyless("pubkey", input=secret).stdout
    assert SECRET.match(public) and public != secret


def test_pubkey_is_x25519_base_point_multiplication():
    """What OpenSSL makes of the same 32 bytes."""
    secret = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4b2c8b6b1f1f4b0a1cfcf7a6f6a4a4")
    der = bytes.fromhex("302e020100300506032b656e04220420") + secret
    public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", input=der)[-32:]
    assert base64.b64decode(keyless("pubkey", input=base64.b64encode(secret).decode() + "\n").stdout) == public


def test_genkey_file_is_closed_and_never_overwritten(tmp_path):
    path = tmp_path / "identity.key"
    assert keyless("genkey", path).stdout == ""
    assert mode(path) == 0o400 and SECRET.match(path.read_text())
    assert keyless("pubkey", path).stdout == keyless("pubkey", input=path.read_text()).stdout
    before = path.read_text()
    again = run("genkey", path)
    assert again.returncode == 1 and str(path) in again.stderr and path.read_text() == before


def test_pubkey_reads_a_file_of_its_group_where_that_is_said(tmp_path):
    """As of a Kubernetes secret with fsGroup, whose mode nobody in the pod can change."""
    path = tmp_path / "identity.key"
    keyless("genkey", path)
    public = keyless("pubkey", path).stdout
    os.chmod(path, 0o440)
    refused = run("pubkey", path)
    assert refused.returncode == 2 and refused.stderr.rstrip().endswith("keyless pubkey --group %s" % path), refused.stderr
    assert keyless("pubkey", "--group", path).stdout == public
    os.chmod(path, 0o444)
    refused = run("pubkey", "--group", path)
    assert refused.returncode == 2 and "chmod 0400" in refused.stderr and "--group" not in refused.stderr


@pytest.mark.parametrize("name", ["server.conf", "my-keys.conf"])
def test_a_mend_names_the_configuration_that_there_is(trial, name):
    """Whatever it is called."""
    conf = os.path.join(trial.server, name)
    os.rename(trial.server_conf, conf)
    replace(trial.server + "/authorized_edges", "rsa_master", "rsa_premaster")
    said = keyless("check", "--server", conf).stdout
    assert re.search("list plain in modes of a key in " + re.escape(conf) + "$", said, re.M), said


def test_genkey_closes_a_file_it_is_redirected_to(tmp_path):
    path = tmp_path / "psk"
    with open(path, "w") as handle:
        os.chmod(path, 0o644)
        subprocess.run([program("keyless"), "genkey"], stdout=handle, check=True)
    assert mode(path) == 0o400


def test_genkey_and_pubkey_json(tmp_path):
    made = json.loads(keyless("genkey", "--json").stdout)
    assert keyless("pubkey", input=made["secret"] + "\n").stdout.strip() == made["public_key"]
    filed = json.loads(keyless("genkey", "--json", tmp_path / "identity.key").stdout)
    assert filed == json.loads(keyless("pubkey", "--json", tmp_path / "identity.key").stdout)
    assert list(filed) == ["public_key"]


@pytest.mark.parametrize("text", ["", "\n", "abc\n", "A" * 43 + "\n", "A" * 44 + "\n", "A" * 43 + "==\n", "!" * 43 + "=\n"])
def test_pubkey_refuses_what_is_no_key(text):
    done = run("pubkey", input=text)
    assert done.returncode == 2 and "keyless genkey" in done.stderr and not done.stdout


def test_pubkey_refuses_a_file_that_others_can_read(tmp_path):
    path = write(tmp_path / "identity.key", keyless("genkey").stdout, 0o644)
    done = run("pubkey", path)
    assert done.returncode == 2 and "chmod 0400 %s" % path in done.stderr
    assert read(path).strip() not in done.stderr


# ---- check: files ----

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
                                              r"certs/rsa\.pem: a link to /no/where\.pem, where nothing is; put the file there, or correct the link with: ln -sfn TARGET \S+rsa\.pem"),
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


def assert_found(conf, pattern):
    done = run("check", "-c", conf)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search("^error +.*" + pattern, done.stdout, re.M), done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(set(lines)), "said twice"
    return done.stdout


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
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
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


# ---- check: policy ----

def write_policy(trial, text, options=""):
    """A trial whose server.conf ends with TEXT instead of its key_default, and whose edge has OPTIONS more."""
    conf = read(trial.server_conf)
    os.chmod(trial.server_conf, 0o600)
    write(trial.server_conf, re.sub(r"key_default \{.*?\n\}\n", "", conf, flags=re.S) + text, 0o644)
    replace(os.path.join(trial.server, "authorized_edges"), "\n", " %s\n" % options)


def in_days(days):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def line_of(path, words):
    return next(number for number, line in enumerate(read(path).splitlines(), 1) if words in line)


@pytest.fixture
def plain_allowed(trial):
    """The edge of the trial may ask for plain mode, and so may be asked of every key."""
    replace(os.path.join(trial.server, "authorized_edges"), "rsa_master", "rsa_master,rsa_premaster")
    os.chmod(trial.server_conf, 0o600)
    write(trial.server_conf, read(trial.server_conf) + "key_default {\n    modes = {\"bound\", \"plain\"}\n}\n", 0o644)


@pytest.mark.usefixtures("plain_allowed")
@pytest.mark.parametrize("text, options, pattern", [
    ("key_default {\n modes = {\"plain\"}\n}\n", "", r"server\.conf:@modes: modes of key_default lists plain: an edge that is taken over"),
    ("key rsa {\n modes = {\"plain\", \"bound\"}\n}\n", "", r"server\.conf:@modes: modes of rsa lists plain"),
    ("key rsa {\n modes = {\"plain\", \"bound\"}\n names = {\"localhost\"}\n}\n", "",
     r"server\.conf:@names: names of rsa hold in bound mode only, and with plain among modes \(\S+server\.conf:@modes\)"),
    ("key nobody { }\n", "", r"key nobody: the configuration has this section, and there is no such key"),
    ("key %s { }\n" % ("0" * 64), "", r"key 0{64}: the configuration has this section, and there is no such key"),
    ("key rsa {\n not_after = 2020-01-01\n}\n", "", r"server\.conf:@not_after: not_after of key rsa was 2020-01-01T00:00:00Z"),
    ("key_default {\n not_after = \"IN13\"\n}\n", "", r"server\.conf:@not_after: not_after of key key_default comes in 1[23] days"),
    ("", "not_after=2020-01-01", r"authorized_edges:1: not_after of edge edge1 was 2020-01-01T00:00:00Z, so it is refused"),
    ("", "not_after=IN13", r"authorized_edges:1: not_after of edge edge1 comes in 1[23] days"),
    ("", "", r"authorized_edges:1: ops= of edge edge1 lists rsa_premaster, and no key allows it"),
    ("key_default { modes = {\"plain\"} operations = {\"sign_tls13\"} }\n", "", r"lists rsa_premaster, and no key allows it"),
])
def test_check_warns_of_policy(trial, text, options, pattern):
    soon = in_days(13)
    write_policy(trial, text.replace("IN13", soon), options.replace("IN13", soon))
    for word in re.findall(r"@(\w+)", pattern):
        pattern = pattern.replace("@" + word, str(line_of(trial.server_conf, word + " =")))
    done = run("check", "-c", trial.server_conf)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("^warning .*" + pattern, done.stdout, re.M), done.stdout
    assert done.stdout.count("lists plain") <= 1


def test_check_warns_of_nothing_in_a_sound_policy(trial):
    write_policy(trial, "key rsa { names = {\"localhost\"} rate = 100/s not_after = \"%s\" }\n" % in_days(15), "not_after=%s" % in_days(15))
    assert not re.search("^warning", keyless("check", "-c", trial.server_conf).stdout, re.M)


@pytest.mark.parametrize("text, pattern", [
    ("key rsa {\n modes = {\"both\"}\n}\n", r"server\.conf:@modes: modes: 'both' is not known; it may be bound, plain"),
    ("key rsa {\n rate = 5\n}\n", r"server\.conf:@rate: rate: '5' is not a rate; write how many"),
    ("key rsa { }\nkey RSAID { }\n", r"key \w+ and key \w+: two sections for one key; join them"),
])
def test_check_finds_in_a_policy(trial, text, pattern):
    write_policy(trial, text.replace("RSAID", key_id(os.path.join(trial.edge, "certs", "rsa.pem"))))
    for word in re.findall(r"@(\w+)", pattern):
        pattern = pattern.replace("@" + word, str(line_of(trial.server_conf, word + " =")))
    assert_found(trial.server_conf, pattern)


# ---- check --explain ----

def explain(trial, *words):
    return run("check", "-c", trial.server_conf, "--explain", *words)


@pytest.mark.usefixtures("plain_allowed")
def test_explain_names_the_lines(trial):
    write_policy(trial, "key rsa {\n modes = {\"bound\"}\n names = {\"*.localhost\"}\n}\n", "from=192.0.2.0/24")
    done = explain(trial, "edge1", "rsa", "rsa_master", "--from", "192.0.2.7", "--name", "a.localhost")
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    assert re.match(r"granted  verdict +edge1: may ask rsa_master of rsa$", done.stdout.splitlines()[0])
    edges, conf = re.escape(trial.server + "/authorized_edges:1"), re.escape(trial.server_conf)
    assert re.search(r"^granted  edge_from +%s: from= covers 192\.0\.2\.7$" % edges, done.stdout, re.M)
    assert re.search(r"^granted  ops +%s: ops= lists rsa_master$" % edges, done.stdout, re.M)
    assert re.search(r"^granted  mode +%s:%d: modes lists bound$" % (conf, line_of(trial.server_conf, "modes =")), done.stdout, re.M)
    assert re.search(r"^granted  name +%s:%d: names covers a\.localhost$" % (conf, line_of(trial.server_conf, "names =")), done.stdout, re.M)
    assert re.search(r"^granted  keys +default: ", done.stdout, re.M)


@pytest.mark.usefixtures("plain_allowed")
@pytest.mark.parametrize("words, reason, refused", [
    (("edge1", "rsa", "rsa_premaster"), "mode_not_granted", r"mode +default: modes lists bound only"),
    (("edge1", "p256", "rsa_master"), "scheme", r"type +.*keys: a key of type p256 cannot do rsa_master"),
    (("edge1", "rsa", "sign_tls13", "--at", "2031-01-01"), "not_valid_now", r"edge_valid +.*authorized_edges:1: not_after= was"),
    (("edge1", "rsa", "sign_tls13", "--from", "::1"), "from", r"edge_from +.*authorized_edges:1: from= does not cover ::1"),
    (("edge1", "none", "sign_tls13"), "unknown_key", r"key +.*keys: no key has the name or the id 'none'"),
    (("none", "rsa", "sign_tls13"), "unknown_edge", r"edge +.*authorized_edges: no line has the name or the key 'none'"),
])
def test_explain_says_what_refuses_and_ends_with_4(trial, words, reason, refused):
    write_policy(trial, "", "from=192.0.2.0/24 not_after=2030-01-01")
    done = explain(trial, *words)
    assert done.returncode == 4, done.stdout + done.stderr
    assert re.search(r"^refused  " + refused, done.stdout, re.M), done.stdout
    first, rest = done.stdout.split("\n", 1)
    assert re.match(r"refused  verdict +%s: \w+ " % reason, first)
    assert re.match(r"refused  %s.*\nfix +%s +\w" % (refused, refused.split(" ")[0]), rest), rest  # before all that grants
    assert "refused" not in rest.split("\n\n")[1]


def test_explain_takes_keys_and_ids(trial):
    edge = read(os.path.join(trial.server, "authorized_edges")).split()[0]
    done = explain(trial, edge, key_id(os.path.join(trial.edge, "certs", "p256.pem")), "sign_tls13")
    assert done.returncode == 0 and done.stdout.split("\n")[0].endswith("edge1: may ask sign_tls13 of p256")


@pytest.mark.usefixtures("plain_allowed")
def test_explain_json(trial):
    said = json.loads(explain(trial, "edge1", "rsa", "rsa_premaster", "--json").stdout)
    assert said["granted"] is True and said["reason"] is None
    by_step = {step["step"]: step for step in said["steps"]}
    assert by_step["mode"] == {"answer": "granted", "step": "mode", "why": "modes lists plain",
                               "where": "%s:%d" % (trial.server_conf, line_of(trial.server_conf, "modes ="))}
    assert by_step["form"]["answer"] == "open" and "verdict" not in by_step
    done = explain(trial, "edge1", "p256", "rsa_premaster", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 4 and said["granted"] is False and said["reason"] == "scheme" and said["why"]
    assert {step["step"]: "fix" in step for step in said["steps"]} == {step["step"]: step["answer"] == "refused" for step in said["steps"]}


@pytest.mark.parametrize("words, said", [
    (("edge1", "rsa"), "three words"),
    (("edge1", "rsa", "sign"), "'sign' is no operation on a key; there are sign_tls13"),
    (("edge1", "rsa", "sign_tls13", "--from", "here"), "'here' is no address; write one without port"),
    (("edge1", "rsa", "sign_tls13", "--at", "now"), "'now' is no date; write 2026-12-31"),
    (("edge1", "rsa", "sign_tls13", "--online"), "one key server's configuration"),
    (("edge1", "rsa", "sign_tls13", "-c", "other.conf"), "one key server's configuration"),
])
def test_explain_wrong_use_ends_with_2(trial, words, said):
    for more in ((), ("--json",)):
        done = explain(trial, *words, *more)
        assert done.returncode == 2 and said in done.stderr and not done.stdout


def test_explain_with_a_broken_configuration_ends_with_2(trial):
    write_policy(trial, "", "rate=much")
    done = explain(trial, "edge1", "rsa", "sign_tls13")
    assert done.returncode == 2 and "authorized_edges:1: rate= is not a rate" in done.stderr and not done.stdout


def test_explain_without_the_key_server_says_where_to_run_it(trial, tmp_path):
    alone = shutil.copy(program("keyless"), tmp_path / "keyless")
    done = subprocess.run([alone, "check", "-c", trial.server_conf, "--explain", "edge1", "rsa", "sign_tls13"],
                          capture_output=True, text=True, env=dict(os.environ, PATH="/nonexistent"))
    assert done.returncode == 1 and "keyless-server: not found" in done.stderr and "--explain edge1 rsa sign_tls13" in done.stderr


@pytest.mark.usefixtures("plain_allowed")
def test_the_key_server_explains_the_same(trial):
    words = ["-c", trial.server_conf, "--explain", "edge1", "rsa", "rsa_premaster"]
    done = subprocess.run([program("keyless-server"), *words], capture_output=True, text=True)
    assert done.returncode == 0 and sorted(done.stdout.splitlines()) == sorted(filter(None, keyless("check", *words).stdout.splitlines()))
    done = subprocess.run([program("keyless-server"), "-c", trial.server_conf, "--at", "2026-12-31"], capture_output=True, text=True)
    assert done.returncode == 2 and "belong to --explain" in done.stderr


# ---- check: certificates ----

@pytest.fixture
def chain(tmp_path):
    """root → middle → leaf, by the openssl command; .path(name) and .issue(...)."""
    class Chain:
        def path(self, name):
            return str(tmp_path / name)

        def issue(self, name, issuer=None, days=30, extensions="basicConstraints=CA:TRUE", kind=None):
            kind = kind or ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            key, cert = self.path(name + ".key"), self.path(name + ".pem")
            openssl("genpkey", *kind, "-out", key)
            write(self.path("ext"), extensions + "\n")
            openssl("req", "-new", "-key", key, "-subj", "/CN=" + name.rstrip("2"), "-out", self.path("csr"))
            if issuer is None:
                openssl("x509", "-req", "-in", self.path("csr"), "-signkey", key, "-extfile", self.path("ext"), "-out", cert)
            else:
                sign(self.path("csr"), self.path(issuer + ".pem"), self.path(issuer + ".key"), cert, self.path("ext"), days,
                     start=min(0, days - 1))
            return cert

        def join(self, trial, *names):
            text = "".join(read(self.path(n + ".pem")) for n in names)
            for name in os.listdir(trial.edge + "/certs"):
                os.unlink(trial.edge + "/certs/" + name)
            write(trial.edge + "/certs/site.pem", text, 0o644)
    made = Chain()
    made.issue("root")
    made.issue("middle", "root")
    made.issue("leaf", "middle", extensions="subjectAltName=DNS:leaf.test")
    return made


def test_check_accepts_a_chain_in_order(trial, chain):
    chain.join(trial, "leaf", "middle", "root")
    assert re.search(r"^ok .*site\.pem: p256 certificate for leaf\.test", keyless("check", "-c", trial.edge_conf).stdout, re.M)


@pytest.mark.parametrize("names", [("leaf", "root", "middle"), ("leaf", "root")])
def test_check_warns_of_a_chain_out_of_order(trial, chain, names):
    chain.join(trial, *names)
    done = keyless("check", "-c", trial.edge_conf)
    assert re.search(r"^warning .*site\.pem: certificate \d did not issue certificate \d; put the leaf first", done.stdout, re.M)


@pytest.mark.parametrize("names", [("middle", "leaf"), ("root", "middle", "leaf"), ("root", "leaf", "middle")])
def test_a_reversed_chain_is_refused_by_test_check_and_start(trial, chain, names):
    chain.join(trial, *names)
    wrong = r"site\.pem: certificate 1 is the issuer of certificate \d; put the leaf first"
    assert_found(trial.edge_conf, wrong)
    for more in ("-t",), ():
        done = subprocess.run([program("keyless-edge"), *more, "-c", trial.edge_conf], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 2 and re.search(wrong, done.stderr), done.stderr


def test_check_finds_an_issuer_of_the_same_name_with_another_key(trial, chain):
    chain.issue("middle2", "root")
    chain.join(trial, "leaf", "middle2")
    assert_found(trial.edge_conf, r"site\.pem: certificate 2 (has the name of the issuer|did not issue)")


def test_check_finds_expiry(trial, chain):
    chain.issue("soon", "middle", days=3, extensions="subjectAltName=DNS:soon.test")
    chain.join(trial, "soon", "middle")
    done = keyless("check", "-c", trial.edge_conf)
    assert re.search(r"^warning .*site\.pem: certificate 1 expires in [23] days; renew it", done.stdout, re.M)


def test_check_draws_the_line_at_two_weeks(trial, chain):
    for days, warns in ((14, True), (15, False)):
        chain.issue("edge", "middle", days=days, extensions="subjectAltName=DNS:edge.test")
        chain.join(trial, "edge", "middle")
        said = keyless("check", "-c", trial.edge_conf).stdout
        assert bool(re.search(r"^warning .*certificate 1 expires in 1[34] days", said, re.M)) == warns


def test_check_finds_an_expired_certificate(trial, chain):
    chain.issue("gone", "middle", days=-1, extensions="subjectAltName=DNS:gone.test")
    chain.join(trial, "gone")
    assert_found(trial.edge_conf, r"site\.pem: expired on \d{4}-\d\d-\d\d; renew it")


def test_check_finds_an_expired_issuer(trial, chain):
    chain.issue("middle", "root", days=-1)
    chain.issue("leaf", "middle", extensions="subjectAltName=DNS:leaf.test")
    chain.join(trial, "leaf", "middle")
    assert_found(trial.edge_conf, r"site\.pem: certificate 2 has expired; take the chain anew")


def test_check_finds_a_key_that_cannot_be_served(trial, chain):
    chain.issue("weak", "middle", extensions="subjectAltName=DNS:weak.test", kind=["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"])
    chain.join(trial, "weak")
    assert_found(trial.edge_conf, r"site\.pem: ")


def test_check_warns_of_rsa_key_exchange_that_cannot_be(trial, chain):
    assert "rsa_key_exchange = on" in read(trial.edge_conf)
    chain.join(trial, "leaf", "middle")
    assert re.search(r"^warning .*certs: rsa_key_exchange is on and no certificate here is RSA", keyless("check", "-c", trial.edge_conf).stdout, re.M)
    rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    chain.issue("signs", "middle", extensions="subjectAltName=DNS:s.test\nkeyUsage=critical,digitalSignature", kind=rsa)
    chain.join(trial, "signs", "middle")
    assert re.search(r"^warning .*keyUsage lacks keyEncipherment", keyless("check", "-c", trial.edge_conf).stdout, re.M)


# ---- check --online, keys ----

OPERATIONS = "ops=sign_tls12,sign_tls13,rsa_premaster"


def edge_conf(site, servers, certs, **options):
    return site.edge_config([(s.address, s.identity.public) for s in servers], certs, "127.0.0.1:1", **options)


def test_check_online_all_is_well(shared, pki):
    conf = edge_conf(shared, [shared.server], [cert for _, cert in pki.all])
    done = keyless("check", "-c", conf, "--online")
    assert done.stdout.count("its key is at 1 of 1 key servers") == len(pki.all)
    assert "keys this edge may use: %d" % len(pki.all) in done.stdout


def test_check_online_finds_a_missing_key(site, pki):
    server = site.start_server([pki.p256[0]])
    done = run("check", "--online", "-c", edge_conf(site, [server], [pki.p256[1], pki.rsa[1]]))
    assert done.returncode == 1
    assert re.search(r"^error .*rsa\.pem: key_server ks1 gives no key for it \(id %s\); put" % key_id(pki.rsa[1]), done.stdout, re.M), done.stdout
    assert re.search(r"^ok .*p256\.pem: its key is at 1 of 1", done.stdout, re.M)


@pytest.mark.parametrize("granted, tls, lacking", [
    ("ops=sign_tls12,sign_tls13", "rsa_key_exchange = on", "rsa_master"),
    ("ops=sign_tls13,rsa_premaster", "rsa_key_exchange = on", "sign_tls12"),
    ("ops=sign_tls12,rsa_master", "rsa_key_exchange = on", "sign_tls13"),
    ("ops=rsa_premaster", "rsa_key_exchange = off", "sign_tls13,sign_tls12"),
    ("ops=sign_tls12,sign_tls13", "rsa_key_exchange = off", None),
    ("ops=sign_tls13", "rsa_key_exchange = off minimum_version = tls1.3", None),
    ("ops=sign_tls12", "rsa_key_exchange = off maximum_version = tls1.2", None),
])
def test_check_online_knows_what_each_certificate_needs(site, pki, granted, tls, lacking):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=granted))
    done = run("check", "--online", "-c", edge_conf(site, [server], [pki.rsa[1]], tls=tls))
    assert done.returncode == (1 if lacking else 0), done.stdout
    if lacking:
        assert "does not grant %s for its key; append to ops=" % lacking in done.stdout


@pytest.mark.parametrize("granted, said", [
    ("rsa_master", r"^ok .*rsa_master and not rsa_premaster: RSA key exchange is bound; clients without extended master secret"),
    ("rsa_premaster", r"^warning .*rsa_premaster and not rsa_master: .*decrypt RSA sessions recorded today; append rsa_master to ops="),
    ("rsa_master,rsa_premaster", None),
])
def test_check_online_says_what_one_way_of_rsa_key_exchange_means(site, pki, granted, said):
    server = site.start_server([pki.rsa[0], pki.p256[0]], authorized=site.authorized_line(options="ops=sign_tls12,sign_tls13," + granted))
    done = keyless("check", "--online", "-c", edge_conf(site, [server], [pki.rsa[1], pki.p256[1]]))
    found = re.findall(r"^.*rsa_master.*$|^.*rsa_premaster.*$", done.stdout, re.M)
    assert len(found) == (1 if said else 0), done.stdout
    if said:
        assert re.search(said, found[0]) and "rsa.pem" in found[0]
    off = keyless("check", "--online", "-c", edge_conf(site, [server], [pki.rsa[1]], tls="rsa_key_exchange = off"))
    assert "rsa_master" not in off.stdout


def test_check_online_warns_of_one_replica_without_the_key(site, pki):
    servers = [site.start_server([pki.rsa[0]]), site.start_server([pki.p256[0]])]
    done = keyless("check", "--online", "-c", edge_conf(site, servers, [pki.rsa[1]]))
    assert re.search(r"^warning .*rsa\.pem: key_server ks2 gives no key", done.stdout, re.M)
    assert re.search(r"^ok .*rsa\.pem: its key is at 1 of 2 key servers", done.stdout, re.M)


def test_an_unreachable_key_server_ends_with_3(site, pki):
    server = site.start_server([pki.rsa[0]])
    conf = edge_conf(site, [server], [pki.rsa[1]])
    server.stop()
    done = run("check", "--online", "-c", conf)
    assert done.returncode == 3 and re.search(r"^error .*key_server ks1: .*does not answer; connection refused: ", done.stdout, re.M)


def test_check_online_is_for_an_edge(trial):
    done = run("check", "--online", "-c", trial.server_conf)
    assert done.returncode == 2 and "edge.conf" in done.stderr


def test_keys(site, pki):
    server = site.start_server([pki.rsa[0], pki.p256[0]], authorized=site.authorized_line(options="ops=sign_tls13 keys=p256"))
    conf = edge_conf(site, [server], [pki.rsa[1]])
    (one,) = json.loads(keyless("keys", "--json", "-c", conf).stdout)
    assert one["key_id"] == key_id(pki.p256[1]) and one["type"] == "p256" and one["operations"] == ["sign_tls13"]
    text = keyless("keys", "-c", conf).stdout
    assert key_id(pki.p256[1]) in text and "sign_tls13" in text and "sign_tls12" not in text


def test_keys_of_an_edge_without_any(site, pki):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="keys=other"))
    done = run("keys", "-c", edge_conf(site, [server], [pki.rsa[1]]))
    assert done.returncode == 4 and "authorized_edges" in done.stderr


# ---- status ----

def test_status_of_both(shared):
    done = keyless("status", admin(shared.server), admin(shared.edge))
    assert re.search(r"^keyless-server \d\S* at %s: ready, up " % re.escape(admin(shared.server)), done.stdout, re.M)
    assert re.search(r"^keyless-edge \d\S* at %s: ready, up " % re.escape(admin(shared.edge)), done.stdout, re.M)
    assert re.search(r"^ +vault +6 keys, \d+ workers", done.stdout, re.M)
    assert re.search(r"^ +EDGE +ADDRESS +CONNECTED +RTT ms +IN FLIGHT +REQUESTS +PER s +REFUSED +SOFTWARE\n +edge1 +127\.0\.0\.1:\d+ ", done.stdout, re.M)
    assert re.search(r"^ +KEY SERVER +ADDRESS +STATE .*\n +ks1 +%s +connected " % re.escape(shared.server.address), done.stdout, re.M)
    assert re.search(r"^ +rsa\.test +rsa +(29|30) +/", done.stdout, re.M)
    assert "\033" not in done.stdout  # no terminal
    assert keyless("status", "--all", admin(shared.edge)).stdout.count(".pem") >= 6


def test_status_json(shared):
    server, edge = json.loads(keyless("status", "--json", admin(shared.server), admin(shared.edge)).stdout)
    assert server["reachable"] and server["ready"] and server["status"]["vault"]["keys"] == 6
    assert edge["reachable"] and edge["ready"] and edge["status"]["program"] == "keyless-edge"


def test_status_over_a_unix_socket(site, pki):
    path = os.path.join(site.folder, "a.sock")
    _, config, _ = site.server_folder([pki.rsa[0]])
    replace(config, 'admin = "127.0.0.1:0"', 'admin = "unix:%s"' % path)
    server = Daemon([program("keyless-server"), "-c", config])
    site.daemons.append(server)
    server.wait_log(r"event=ready\b")
    assert re.search(r"^keyless-server .*: ready", keyless("status", "unix:" + path).stdout)


def test_status_not_ready_ends_with_1(site, pki):
    edge = site.start_edge([site.absent_server()], [pki.rsa[1]], "127.0.0.1:1", ready=False)
    done = run("status", admin(edge))
    assert done.returncode == 1 and re.search(r"^keyless-edge .*: not ready: \S", done.stdout)
    assert "disconnected" in done.stdout
    (one,) = json.loads(run("status", "--json", admin(edge)).stdout)
    assert one["reachable"] and not one["ready"] and one["why"]


def test_status_of_nobody_ends_with_3(shared, tmp_path):
    nobody = "unix:%s/none" % tmp_path
    done = run("status", nobody, admin(shared.server))
    assert done.returncode == 3 and "is the daemon running" in done.stderr and "keyless-server" in done.stdout
    (one,) = json.loads(run("status", "--json", nobody).stdout)
    assert not one["reachable"] and one["why"]


def test_status_of_something_else_ends_with_3(origin):
    done = run("status", origin.address)
    assert done.returncode == 3 and origin.address in done.stderr


def ends_of_lost_output(command, **options):
    """How COMMAND ends on a disk that is full; and when who reads from a pipe has had enough."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, **options)
    yield done
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, **options)
    os.close(writing)
    yield done


def assert_lost_output_is_said(command, **options):
    full, pipe = ends_of_lost_output(command, **options)
    assert full.returncode == 1, (full.returncode, full.stderr)
    assert full.stderr.count("standard output cannot be written") == 1, full.stderr
    assert pipe.returncode == 0 and "standard output" not in pipe.stderr, (pipe.returncode, pipe.stderr)


@pytest.mark.parametrize("words", [("help",), ("--version",), ("help", "check"), ("check", "-c"), ("ping", "--help"),
                                   ("audit", "tail", "--help")], ids=" ".join)
def test_output_that_is_lost_is_said(site, pki, words):
    """On a disk that is full. Who reads from a pipe and has had enough is no error."""
    command = [program("keyless"), *words]
    if words[-1] == "-c":
        command.append(site.server_folder([pki.p256[0]])[1])
    assert_lost_output_is_said(command)


def test_output_of_pubkey_that_is_lost_is_said():
    secret = base64.b64encode(bytes(range(32))).decode() + "\n"
    assert_lost_output_is_said([program("keyless"), "pubkey"], input=secret)


def test_a_secret_that_is_lost_is_said_once_and_even_on_a_pipe():
    for done in ends_of_lost_output([program("keyless"), "genkey"]):
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert done.stderr.count("standard output cannot be written") == 1, done.stderr


@pytest.mark.parametrize("daemon", ["server", "edge"])
@pytest.mark.parametrize("mode", ["-T", "-t", "-V", "-h"])
def test_output_of_a_daemon_that_is_lost_is_said(tmp_path, daemon, mode):
    keyless("init", str(tmp_path / "trial"))
    command = [program("keyless-" + daemon), "-c", str(tmp_path / "trial" / daemon / (daemon + ".conf")), mode]
    assert_lost_output_is_said(command)


@pytest.mark.parametrize("side, file", [
    ("server", "server.conf"), ("server", "authorized_edges"), ("server", "identity.key"), ("server", "group.secret"),
    ("server", "keys/rsa.pem"), ("edge", "edge.conf"), ("edge", "identity.key"), ("edge", "psk"), ("edge", "certs/rsa.pem")])
def test_a_fifo_in_place_of_a_file_is_refused_and_not_waited_for(trial, side, file):
    configuration, path = os.path.join(trial.top, side, side + ".conf"), os.path.join(trial.top, side, file)
    mode = os.stat(path).st_mode & 0o777
    os.remove(path)
    os.mkfifo(path, mode)
    for command in ([program("keyless"), "check", "--" + side, configuration], [program("keyless-" + side), "-t", "-c", configuration]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == (1 if command[1] == "check" and not file.endswith(".conf") else 2), (command, done)
        assert "it is a FIFO, not a regular file" in done.stdout + done.stderr, (command, done)


def test_a_configuration_may_come_through_a_pipe(trial):
    """As a shell gives it: keyless-server -t -c <(command)."""
    for command in ([program("keyless-server"), "-t", "-c"], [program("keyless"), "check", "--server"]):
        done = subprocess.run(["bash", "-c", 'file=$1; shift; exec "$@" <(cat "$file")', "bash", trial.server_conf, *command],
                              capture_output=True, text=True, timeout=60)
        # It was read: what it names is looked for beside it.
        assert re.search(r"/fd/identity.key: no such file", done.stdout + done.stderr), done
        assert not re.search(r"/dev/fd/\d+: cannot be read", done.stdout + done.stderr), done


def assert_reads_little(*command):
    """It ends although what it is given does not."""
    most, given = 32 << 20, 0
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while given < most:
            given += reader.stdin.write(bytes(1 << 16))
    except BrokenPipeError:
        pass
    finally:
        if given >= most:
            reader.kill()
        out, err = reader.stdout.read().decode(), reader.stderr.read().decode()
        reader.wait()
    assert given < most, "it reads on"
    return reader.returncode, out + err


@pytest.mark.parametrize("verb", ["verify", "tail"])
def test_audit_does_not_read_without_end(verb):
    """A device, or a line that does not end."""
    done = run("audit", verb, "/dev/zero")
    assert done.returncode == 2 and "/dev/zero: cannot be read: it is a device, not a regular file" in done.stderr
    code, said = assert_reads_little(program("keyless"), "audit", verb, "/dev/stdin")
    assert code == (1 if verb == "verify" else 2), said
    assert {"verify": "/dev/stdin:1: this is no record", "tail": "it is a FIFO, not a regular file"}[verb] in said


def test_a_configuration_of_the_other_daemon_is_named_as_that(trial):
    for text in ("", 'key_default { modes = {"neither"} }\n'):
        write(trial.server_conf, read(trial.server_conf) + text)
        for verb in ("ping", "keys"):
            done = run(verb, "-c", trial.server_conf)
            assert done.returncode == 2 and re.search(r"server.conf:\d+: this is a key server's configuration: .*; name that of an edge here", done.stderr)
    for daemon, conf, whose, other in (("keyless-edge", trial.server_conf, "a key server", "an edge"),
                                       ("keyless-server", trial.edge_conf, "an edge", "a key server")):
        for option in ("-t", "-T"):
            done = subprocess.run([program(daemon), option, "-c", conf], capture_output=True, text=True, timeout=PATIENCE)
            assert done.returncode == 2 and re.search(
                r"%s:\d+: this is %s's configuration: .*; name that of %s here" % (conf, whose, other), done.stderr), done.stderr
    done = run("check", "--explain", "edge1", "rsa", "sign_tls13", "-c", trial.edge_conf)
    assert done.returncode == 2 and re.search(r"edge.conf:\d+: this is an edge's configuration: .*; name that of a key server here", done.stderr)


def test_a_list_of_no_edges_is_good_and_said(trial):
    for text in ("", "# nobody yet\n"):
        write(trial.server + "/authorized_edges", text)
        done = subprocess.run([program("keyless-server"), "-t", "-c", trial.server_conf], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "is good: 0 edges" in done.stdout + done.stderr, done
        assert re.search(r'warn keyless-server event=no_edges error="\S+/authorized_edges: no edge is in it, so none can connect" '
                         r'hint="append the line that keyless init --edge prints', done.stderr), done.stderr


def test_check_does_not_read_without_end(tmp_path):
    """Whatever a configuration turns out to be: no more is taken of it than one may have, each time that it is looked at."""
    most, given = 32 << 20, 0
    check = subprocess.Popen([program("keyless"), "check", "-c", "/dev/stdin"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=False)
    try:
        while given < most:
            given += check.stdin.write(bytes(1 << 16))
    except BrokenPipeError:
        pass
    finally:
        if given >= most:
            check.kill()
        err = check.stderr.read().decode()
        check.wait()
    assert given < most and check.returncode == 2 and "/dev/stdin: of which daemon is it?" in err, (given, err)
