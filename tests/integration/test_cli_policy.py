"""keyless check: what is wrong or doubtful in a policy; and --explain, which names the line that grants or refuses."""
import datetime
import json
import os
import re
import shutil
import subprocess

import pytest

from command import assert_found, read, replace, run
from daemon import program
from fleet import keyless, write
from pki import key_id


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
