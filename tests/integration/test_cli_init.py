"""`keyless init`: what it makes, what it refuses to take, and that a failure leaves nothing behind."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from command import mode, read, run, secrets_below
from daemon import program
from fleet import keyless, write
from pki import openssl


def test_init_trial_is_good_for_both_daemons(trial):
    for name, conf in (("keyless-server", trial.server_conf), ("keyless-edge", trial.edge_conf)):
        done = subprocess.run([program(name), "-t", "-c", conf], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    for path in ("server/identity.key", "server/group.secret", "server/keys/rsa.pem", "edge/identity.key", "edge/psk"):
        assert mode(os.path.join(trial.top, path)) == 0o400
    assert mode(os.path.join(trial.server, "authorized_edges")) == 0o600
    assert "PRIVATE KEY" not in "".join(read(os.path.join(trial.edge, "certs", f)) for f in os.listdir(trial.edge + "/certs"))


def test_init_prints_no_secret_of_a_trial(tmp_path):
    done = keyless("init", tmp_path / "trial")
    secrets = secrets_below(tmp_path / "trial")
    assert len(secrets) == 4
    assert not [s for s in secrets if s in done.stdout + done.stderr]


def test_init_twice_overwrites_nothing(trial):
    before = secrets_below(trial.top)
    again = run("init", trial.top)
    assert again.returncode in (1, 4) and "exists already" in again.stderr
    assert secrets_below(trial.top) == before


def test_init_halves_fit_together(tmp_path, pki):
    """The server's half prints what the edge's half needs, and the other way round; then both daemons are content."""
    server, edge = tmp_path / "server", tmp_path / "edge"
    said = keyless("init", "--user", "nobody", "--server", "--key", pki.rsa[0], "--server-listen", "127.0.0.1:2407", server).stdout
    key = re.search(r"--server-key (\S+)", said).group(1)
    assert key == keyless("pubkey", server / "identity.key").stdout.strip()
    said = keyless("init", "--user", "nobody", "--edge", "--key-server", "127.0.0.1:2407", "--server-key", key, "--cert", pki.rsa[1],
                   "--name", "paris1", edge).stdout
    line = re.search(r"^\S+ paris1 psk=(\S+).*$", said, re.M)
    assert line.group(1) == read(edge / "psk").strip()
    assert read(edge / "identity.key").strip() not in said
    with open(server / "authorized_edges", "a") as handle:
        handle.write(line.group(0) + "\n")
    assert keyless("check", "-c", server / "server.conf").stdout.count("\nerror") == 0
    assert "edges that may connect: 1" in keyless("check", "-c", server / "server.conf").stdout
    keyless("check", "-c", edge / "edge.conf")


# ---- what it is given ----

def edge_half(folder, *certs):
    given = [word for cert in certs for word in ("--cert", cert)]
    return run("init", "--user", "nobody", "--edge", "--key-server", "127.0.0.1:2407", "--server-key", "A" * 42 + "8=", *given, folder)


def join(path, *files):
    return write(path, "".join(read(file) for file in files))


def other_form(form, pki, folder):
    """A file of pki's p256 pair in FORM."""
    key, cert = pki.p256
    out = str(folder / ("given-" + form.replace(" ", "-") + ".pem"))
    if form == "key and chain":
        return join(out, cert, key)
    if form == "key":
        return shutil.copy(key, out)
    commands = {
        "encrypted key": ("pkey", "-in", key, "-aes128", "-passout", "pass:x"),
        "DER key": ("pkey", "-in", key, "-outform", "DER"),
        "PKCS12": ("pkcs12", "-export", "-in", cert, "-inkey", key, "-passout", "pass:x"),
        "TRUSTED": ("x509", "-in", cert, "-trustout"),
        "PKCS7": ("crl2pkcs7", "-nocrl", "-certfile", cert),
        "DER certificate": ("x509", "-in", cert, "-outform", "DER"),
        "request": ("req", "-new", "-key", key, "-subj", "/CN=x"),
    }
    openssl(*commands[form], "-out", out)
    return out


CERT_FORMS = {
    "key and chain": r"a private key is in it, beside the certificate.*openssl crl2pkcs7 -nocrl -certfile",
    "key": r"is a private key, which an edge must not have.*keyless init --server --key",
    "encrypted key": r"is a private key, which an edge must not have",
    "DER key": r"is a private key, which an edge must not have",
    "PKCS12": r"openssl pkcs12 -nokeys -in",
    "TRUSTED": r"openssl x509 -in (\S+) -out \1\.pem",
    "PKCS7": r"openssl pkcs7 -print_certs -in (\S+) -out \1\.pem",
    "DER certificate": r"openssl x509 -inform der -in (\S+) -out \1\.pem",
    "request": r"only a request for one",
}


@pytest.mark.parametrize("form", sorted(CERT_FORMS))
def test_init_edge_refuses_a_certificate_file(tmp_path, pki, form):
    """And leaves nothing behind, though it is the second file of two."""
    given = other_form(form, pki, tmp_path)
    done = edge_half(tmp_path / "edge", pki.rsa[1], given)
    assert done.returncode == 2 and re.search(re.escape(given) + ": .*" + CERT_FORMS[form], done.stderr), done.stderr
    assert not os.path.exists(tmp_path / "edge") and not done.stdout


def test_the_commands_that_mend_do(tmp_path, pki):
    """What a refusal says, run by a shell, makes a file that is taken."""
    for form in ("TRUSTED", "PKCS7", "DER certificate", "key and chain"):
        given = other_form(form, pki, tmp_path)
        said = edge_half(tmp_path / "edge", given).stderr
        command = re.search(r"(?:run|made with): (openssl .*? -out \S+\.pem)", said).group(1)
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)
        done = edge_half(tmp_path / "edge", str(tmp_path / command.split()[-1]))
        assert done.returncode == 0, done.stderr
        shutil.rmtree(tmp_path / "edge")


@pytest.mark.parametrize("form, said", [("TRUSTED", "is a certificate.*keyless init --edge --cert"),
                                        ("DER certificate", "is a certificate"), ("PKCS12", "openssl pkcs12 -nocerts"),
                                        ("request", "no private key is in it")])
def test_init_server_refuses_a_key_file(tmp_path, pki, form, said):
    done = run("init", "--user", "nobody", "--server", "--key", pki.rsa[0], "--key", other_form(form, pki, tmp_path), tmp_path / "server")
    assert done.returncode == 2 and re.search(said, done.stderr), done.stderr
    assert not os.path.exists(tmp_path / "server") and not done.stdout


def test_init_trial_with_the_two_exchanged(tmp_path, pki):
    done = run("init", "--key", pki.rsa[1], "--cert", pki.rsa[0], tmp_path / "trial")
    assert done.returncode == 2 and "is a certificate, and no private key" in done.stderr
    assert not os.path.exists(tmp_path / "trial")


def test_init_gives_files_names_that_the_daemons_read(tmp_path, pki):
    key, cert = shutil.copy(pki.rsa[0], tmp_path / "www"), shutil.copy(pki.rsa[1], tmp_path / "chain")
    keyless("init", "--key", key, "--cert", cert, tmp_path / "trial")
    assert os.listdir(tmp_path / "trial/server/keys") == ["www.pem"]
    assert os.listdir(tmp_path / "trial/edge/certs") == ["chain.pem"]


# ---- all or nothing ----

def everything_below(folder):
    return sorted(os.path.join(path, name) for path, folders, names in os.walk(folder) for name in folders + names)


def test_init_that_fails_late_removes_only_its_own(tmp_path):
    """The last file that it would make is there already: all that was there stays, all else goes."""
    write(tmp_path / "edge.conf", "mine\n")
    os.mkdir(tmp_path / "certs")
    before = everything_below(tmp_path)
    done = edge_half(tmp_path)
    assert done.returncode == 4 and "edge.conf: exists already" in done.stderr
    assert everything_below(tmp_path) == before and read(tmp_path / "edge.conf") == "mine\n"
    os.unlink(tmp_path / "edge.conf")
    assert edge_half(tmp_path).returncode == 0


def test_init_without_room_for_what_it_says_leaves_nothing(tmp_path):
    """The line for the key server is lost when nobody reads it; then the edge is not made either."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([program("keyless"), "init", "--user", "nobody", "--edge", "--key-server", "a:1", "--server-key", "A" * 42 + "8=",
                               tmp_path / "edge"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr
    assert not os.path.exists(tmp_path / "edge")


def test_init_that_is_interrupted_leaves_all_or_nothing(tmp_path):
    for attempt in range(8):
        folder = tmp_path / ("trial%d" % attempt)
        process = subprocess.Popen([program("keyless"), "init", folder], stdout=subprocess.PIPE)
        while not os.path.exists(folder) and process.poll() is None:
            pass
        process.send_signal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[attempt % 3])
        process.communicate()
        assert os.path.exists(folder / "server/authorized_edges") and os.path.exists(folder / "edge/edge.conf")


# ---- JSON ----

def test_init_json(tmp_path, pki):
    said = json.loads(keyless("init", "--json", tmp_path / "trial").stdout)
    assert said["server"]["config"] == str(tmp_path / "trial/server/server.conf") and os.path.exists(said["ca"])
    assert said["edge"]["public_key"] == keyless("pubkey", tmp_path / "trial/edge/identity.key").stdout.strip()
    assert not [s for s in secrets_below(tmp_path / "trial") if s in json.dumps(said)]
    server = json.loads(keyless("init", "--json", "--user", "nobody", "--server", "--key", pki.rsa[0], tmp_path / "server").stdout)
    assert server["edge"] is None and os.path.isdir(server["server"]["keys"])
    edge = json.loads(keyless("init", "--json", "--user", "nobody", "--edge", "--key-server", "127.0.0.1:2407", "--server-key",
                              server["server"]["public_key"], "--cert", pki.rsa[1], tmp_path / "edge").stdout)
    with open(tmp_path / "server/authorized_edges", "a") as handle:
        handle.write(edge["authorized_edges_line"] + "\n")
    assert "edges that may connect: 1" in keyless("check", "-c", tmp_path / "server/server.conf", "-c",
                                                  edge["edge"]["config"]).stdout
