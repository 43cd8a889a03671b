"""keyless audit: what a vault has recorded is verified and shown; whatever is done to it is found and named."""
import base64
import hashlib
import json
import os
import pty
import re
import select
import shutil
import subprocess
import threading

import pytest

from daemon import BUILD, PATIENCE, program
from fleet import keyless
from pki import openssl


class Log:
    """An audit log below FOLDER, written by a program that does what the vault does."""

    def __init__(self, folder, keys, count=60, rotate=6000):
        self.top = str(folder)
        self.folder, self.key, self.public = (os.path.join(self.top, name) for name in ("log", "audit.key", "audit.pub"))
        key_folder = os.path.join(self.top, "keys")
        os.makedirs(key_folder)
        for name, path in keys.items():
            target = os.path.join(key_folder, name + ".pem")
            shutil.copy(path, target)
            os.chmod(target, 0o400)
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests", "peer_audit"), "write", self.folder, self.key, key_folder, str(count), str(rotate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait()

    def wait(self):
        assert self.process.stdout.readline() == "written\n"

    def more(self, count=1):
        for _ in range(count):
            self.process.stdin.write("more\n")
            self.process.stdin.flush()
            self.wait()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=PATIENCE) == 0
        self.process.stdout.close()
        return self

    def files(self):
        return sorted(os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.startswith("audit-"))

    def lines(self):
        """(file, line number, record) of every record."""
        found = []
        for path in self.files():
            with open(path) as handle:
                found += [(path, number, json.loads(line)) for number, line in enumerate(handle, 1)]
        return found

    def copy(self, folder):
        other = object.__new__(Log)
        shutil.copytree(self.folder, os.path.join(str(folder), "log"))
        other.top, other.folder = str(folder), os.path.join(str(folder), "log")
        other.key, other.public, other.process = self.key, self.public, None
        return other


@pytest.fixture(scope="module")
def written(tmp_path_factory, pki):
    """A whole log of several files, for tests that only read it or change a copy."""
    return Log(tmp_path_factory.mktemp("audit"), {"www": pki.p256[0], "shop": pki.rsa[0]}).end()


@pytest.fixture
def log(written, tmp_path):
    """A copy to spoil."""
    return written.copy(tmp_path)


@pytest.fixture
def live(tmp_path, pki):
    made = Log(tmp_path / "live", {"www": pki.p256[0], "shop": pki.rsa[0]})
    yield made
    if made.process.poll() is None:
        made.process.stdin.close()
        made.process.wait(timeout=PATIENCE)


def verify(*arguments):
    return keyless("audit", "verify", *arguments, check=False)


def tail(*arguments):
    return keyless("audit", "tail", *arguments).stdout.splitlines()


def change(path, old, new):
    with open(path, "rb") as handle:
        content = handle.read()
    assert old in content
    with open(path, "wb") as handle:
        handle.write(content.replace(old, new, 1))


def drop_lines(path, first, last):
    with open(path) as handle:
        lines = handle.readlines()
    with open(path, "w") as handle:
        handle.writelines(lines[:first - 1] + lines[last:])


# ---- verify ----

def test_a_whole_log_is_good(written):
    done = verify(written.folder)
    assert done.returncode == 0 and not done.stderr
    lines = written.lines()
    assert done.stdout.startswith("good: records 1 to %d in %d files" % (len(lines), len(written.files())))
    assert "compare it with audit.pub" in done.stdout
    with open(written.public) as handle:
        assert handle.read().strip() in done.stdout
    assert lines[-1][2]["hash"] in done.stdout
    assert verify(*written.files()).returncode == 0


def test_hashes_and_signatures_are_those_of_the_manual(written, tmp_path):
    """The same by other means: hashlib and OpenSSL, from the lines alone."""
    previous, checkpoints = bytes(32), 0
    with open(written.public) as handle:
        public = base64.b64decode(handle.read())
    der = tmp_path / "public.der"
    der.write_bytes(bytes.fromhex("302a300506032b6570032100") + public)
    for path in written.files():
        with open(path, "rb") as handle:
            lines = handle.read().splitlines()
        for line in lines:
            record = json.loads(line)
            if record["type"] == "segment":
                assert bytes.fromhex(record["previous"]) == previous and base64.b64decode(record["public"]) == public
            if record["type"] == "checkpoint":
                inner = hashlib.sha256(previous + line[:line.index(b',"signature"')]).digest()
                numbers = record["seq"].to_bytes(8, "big") + record["epoch_ms"].to_bytes(8, "big")
                (tmp_path / "message").write_bytes(b"keyless audit checkpoint" + numbers + inner)
                (tmp_path / "signature").write_bytes(base64.b64decode(record["signature"]))
                openssl("pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", str(der), "-rawin",
                        "-in", str(tmp_path / "message"), "-sigfile", str(tmp_path / "signature"))
                checkpoints += 1
            previous = hashlib.sha256(previous + line[:line.index(b',"hash"')]).digest()
            assert record["hash"] == previous.hex()
    assert checkpoints > 3


def test_with_the_key_there_is_nothing_to_compare(written):
    with open(written.public) as handle:
        text = handle.read().strip()
    for key in (written.public, text):
        done = verify("--key", key, written.folder)
        assert done.returncode == 0 and "compare" not in done.stdout
    other = keyless("pubkey", input=keyless("genkey").stdout).stdout.strip()
    done = verify("--key", other, written.folder)
    assert done.returncode == 1 and "none of those that were given" in done.stderr
    assert verify("--key", other, "--key", text, written.folder).returncode == 0


def test_json_says_all_of_it(written, log):
    records = [record for _, _, record in written.lines()]
    report = json.loads(verify("--json", written.folder).stdout)
    assert report["good"] and report["flaw"] is None
    assert (report["first"], report["last"]) == (1, len(records)) and report["files"] == len(written.files())
    assert report["checkpoint"] == {"seq": len(records), "hash": records[-1]["hash"]}
    for result, count in report["decisions"].items():
        assert count == sum(r["type"] == "use" and r["result"] == result for r in records)
    path, number, record = [entry for entry in log.lines() if entry[2]["type"] == "use"][7]
    change(path, record["trace"].encode(), b"f" * 32)
    done = verify("--json", log.folder)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["good"]
    flaw = report["flaw"]
    assert (flaw["kind"], flaw["file"], flaw["line"], flaw["seq"]) == ("altered", path, number, record["seq"])


def test_a_changed_record_is_named(log):
    path, number, record = [entry for entry in log.lines() if entry[2]["type"] == "use"][20]
    change(path, b'"seq":%d,' % record["seq"], b'"seq":%d,' % (record["seq"] + 1000))
    done = verify(log.folder)
    assert done.returncode == 1
    assert "%s:%d: the number of record %d was altered" % (path, number, record["seq"]) in done.stderr
    assert "up to record %d it is good" % (record["seq"] - 1) in done.stdout


def test_a_removed_record_is_named(log):
    path, number, record = [entry for entry in log.lines() if entry[2]["type"] == "use"][20]
    drop_lines(path, number, number + 1)
    done = verify(log.folder)
    assert done.returncode == 1
    assert "%s:%d: records %d to %d are missing" % (path, number, record["seq"], record["seq"] + 1) in done.stderr


def test_each_removed_file_is_named(written, tmp_path):
    for index, path in enumerate(written.files()):
        log = written.copy(tmp_path / str(index))
        os.unlink(log.files()[index])
        done = verify(log.folder)
        assert done.returncode == 1
        if index == 0:
            assert "the files before it are missing" in done.stderr and "--part" in done.stderr
        elif index + 1 < len(written.files()):
            assert "where is the file " + os.path.basename(path) in done.stderr
        else:
            assert "the log ends with record" in done.stderr


def test_a_cut_back_to_a_checkpoint_is_found_by_the_note_or_by_what_was_logged(log):
    lines = log.lines()
    path, number, record = [entry for entry in lines if entry[2]["type"] == "checkpoint"][-2]
    last = lines[-1][2]
    with open(path) as handle:
        kept = handle.readlines()[:number]
    with open(path, "w") as handle:
        handle.writelines(kept)
    for other in [p for p in log.files() if p > path]:
        os.unlink(other)
    done = verify(log.folder)
    assert done.returncode == 1 and "the log ends with record %d" % record["seq"] in done.stderr
    os.unlink(os.path.join(log.folder, "head"))
    done = verify(log.folder)
    assert done.returncode == 1 and "the file head is missing" in done.stderr and "event=audit_checkpoint" in done.stderr
    done = verify("--head", "%d:%s" % (last["seq"], last["hash"]), log.folder)
    assert done.returncode == 1 and "checkpoint %d was noted" % last["seq"] in done.stderr
    assert verify("--head", "%d:%s" % (record["seq"], record["hash"]), log.folder).returncode == 0
    assert verify(*log.files()).returncode == 0  # nothing else could tell
    done = verify("--head", "%d:%s" % (record["seq"], "0" * 64), log.folder)
    assert done.returncode == 1 and "has another hash than was noted" in done.stderr


def test_all_files_gone_but_the_note_is_there(log):
    for path in log.files():
        os.unlink(path)
    done = verify(log.folder)
    assert done.returncode == 1 and "all files of the log are missing" in done.stderr


def test_a_note_of_somebody_else_is_found(log, tmp_path, pki):
    stranger = Log(tmp_path / "stranger", {"www": pki.p256[0]}, count=1).end()
    shutil.copy(os.path.join(stranger.folder, "head"), log.folder)
    done = verify(log.folder)
    assert done.returncode == 1 and ("another hash" in done.stderr or "not signed by the key" in done.stderr)
    with open(os.path.join(log.folder, "head"), "w") as handle:
        handle.write("{}\n")
    done = verify(log.folder)
    assert done.returncode == 1 and "it was altered" in done.stderr


def test_a_part_is_good_when_it_is_called_one(written):
    middle = written.files()[1:-1]
    assert verify(*middle).returncode == 1
    assert verify("--part", *middle).returncode == 0
    assert verify("--part", middle[1], middle[0]).returncode == 1


def test_a_log_that_is_being_written_is_good_as_far_as_it_is(live):
    live.more(3)
    assert verify("--live", live.folder).returncode == 0
    done = verify(*live.files())
    assert done.returncode == 1 and "--live" in done.stderr
    live.end()
    assert verify(live.folder).returncode == 0


def test_a_long_log_shows_its_progress_on_a_terminal_only(tmp_path, written):
    folder = str(tmp_path / "log")
    subprocess.run([os.path.join(BUILD, "tests", "peer_audit"), "bench", folder, written.key,
                    os.path.join(written.top, "keys"), "120000", "64", "interval"], check=True, stdout=subprocess.DEVNULL)
    done = verify(folder)
    assert done.returncode == 0 and "120000 ok" in done.stdout and not done.stderr
    shown = run_on_terminal("audit", "verify", folder)
    assert re.search(r"verified +\d+ % of \d+ MiB", shown) and "good: records 1 to" in shown


def run_on_terminal(*arguments):
    """What the command prints when standard output and error are a terminal."""
    parent, child = pty.openpty()
    process = subprocess.Popen([program("keyless"), *arguments], stdout=child, stderr=child, env={**os.environ, "TERM": "xterm"})
    os.close(child)
    output = b""
    while select.select([parent], [], [], PATIENCE)[0]:
        try:
            chunk = os.read(parent, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    process.wait(timeout=PATIENCE)
    os.close(parent)
    return output.decode()


def test_what_was_recorded_about_trouble_is_said(tmp_path, pki):
    log = Log(tmp_path / "trouble", {"www": pki.p256[0]}, count=5).end()
    path, number, record = [entry for entry in log.lines() if entry[2]["type"] == "use"][1]
    digest = record["trace"].encode()
    change(path, digest, b"f" * 32)
    subprocess.run([os.path.join(BUILD, "tests", "peer_audit"), "write", log.folder, log.key, os.path.join(log.top, "keys"),
                    "5", "6000"], check=True, input="", text=True, capture_output=True)
    assert verify(log.folder).returncode == 1
    change(path, b"f" * 32, digest)
    done = verify(log.folder)
    assert done.returncode == 0
    assert "the log was found damaged: %s, line %d: " % (os.path.basename(path), number) in done.stdout
    report = json.loads(verify("--json", log.folder).stdout)
    assert report["note_count"] == 1 and report["notes"][0]["type"] == "damage"


@pytest.mark.parametrize("arguments, said", [
    ((), "name the folder"),
    (("--frobnicate", "x"), "frobnicate"),
    (("/nonexistent/audit",), "cannot be read"),
    (("--key", "abc", "x"), "--key takes a public key or its file"),
    (("--head", "abc", "x"), "SEQ:HASH"),
    (("--head", "0:" + "0" * 64, "x"), "SEQ:HASH"),
    (("--head", "5:" + "0" * 63, "x"), "SEQ:HASH"),
    (("--head", "5:" + "0" * 64, "--head", "6:" + "0" * 64, "x"), "one --head"),
    (("--key", base64.b64encode(bytes(32)).decode()) * 9 + ("x",), "more than 8 keys"),
])
def test_wrong_use_of_verify_ends_with_2(arguments, said):
    done = verify(*arguments)
    assert done.returncode == 2 and said in done.stderr


def test_a_folder_without_a_log_is_wrong_use(tmp_path):
    for verb in ("verify", "tail"):
        done = keyless("audit", verb, tmp_path, check=False)
        assert done.returncode == 2 and "no audit log is there" in done.stderr
    assert keyless("audit", check=False).returncode == 2
    assert keyless("audit", "frobnicate", check=False).returncode == 2


# ---- tail ----

def test_tail_shows_the_last_ones_a_line_each(written):
    records = [record for _, _, record in written.lines()]
    assert len(tail(written.folder)) == 10
    for count in (0, 1, 10, len(records), len(records) + 5):
        shown = tail("-n", count, written.folder)
        assert len(shown) == min(count, len(records))
        assert [line.split()[1] for line in shown] == [str(r["seq"]) for r in records[len(records) - len(shown):]]
    assert len(tail("-n", "all", written.folder)) == len(records)
    assert len(tail("-n", 1000, written.files()[0])) == sum(p == written.files()[0] for p, _, _ in written.lines())


@pytest.mark.parametrize("options, fits", [
    (("--edge", "paris1"), lambda r: r.get("edge") == "paris1"),
    (("--edge", base64.b64encode(b"\x09" + bytes(31)).decode()), lambda r: "edge_key" in r),
    (("--key", "shop"), lambda r: r.get("key") == "shop"),
    (("--key", "08" + "00" * 31), lambda r: "key_id" in r),
    (("--op", "rsa_master"), lambda r: r.get("op") == "rsa_master"),
    (("--result", "refused"), lambda r: r.get("result") == "refused"),
    (("--trace", "0c00"), lambda r: r.get("trace", "").startswith("0c00")),
    (("--edge", "paris2", "--key", "www", "--result", "ok"),
     lambda r: (r.get("edge"), r.get("key"), r.get("result")) == ("paris2", "www", "ok")),
])
def test_tail_filters(written, options, fits):
    expected = [record for _, _, record in written.lines() if record["type"] in ("use", "refusals") and fits(record)]
    assert expected
    shown = [json.loads(line) for line in tail("-n", 1000, "--json", *options, written.folder)]
    assert shown == expected
    assert [json.loads(line) for line in tail("-n", 2, "--json", *options, written.folder)] == expected[-2:]


def test_tail_follows_from_file_to_file(live):
    process = subprocess.Popen([program("keyless"), "audit", "tail", "-f", "-n", "3", "--json", live.folder],
                               stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        first = [json.loads(process.stdout.readline()) for _ in range(3)]
        before = len(live.files())
        while len(live.files()) < before + 3:
            live.more(10)
        live.end()
        last = live.lines()[-1][2]["seq"]
        seen = [record["seq"] for record in first]
        while seen[-1] < last:
            seen.append(json.loads(process.stdout.readline())["seq"])
        assert seen == list(range(seen[0], last + 1))
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def test_tail_has_colours_on_a_terminal_only(written):
    assert "\x1b[" not in "".join(tail(written.folder))
    assert "\x1b[32m" in run_on_terminal("audit", "tail", "-n", "100", written.folder)


def test_nothing_that_stands_in_a_log_reaches_the_terminal_raw(log):
    """Neither a record that names something evil, nor a line that is none."""
    with open(log.files()[-1], "ab") as handle:
        handle.write(b"\x1b[2Jevil\n")
    done = keyless("audit", "tail", "-n", "3", log.folder, check=False)
    assert "\x1b" not in done.stdout + done.stderr
    assert "this is no record" in done.stderr and done.returncode == 1


def test_a_file_that_is_no_audit_log_ends_tail_with_1(tmp_path):
    (tmp_path / "other").write_text("one\ntwo\n")
    done = keyless("audit", "tail", str(tmp_path / "other"), check=False)
    assert done.returncode == 1 and done.stderr.count("this is no record") == 2, (done.returncode, done.stderr)


@pytest.mark.parametrize("content", [b"", b'{"seq":1', b"x" * 5000, b"\0" * 100000],
                         ids=("empty", "cut", "long", "zeros"))
@pytest.mark.parametrize("options", [(), ("-n", "0"), ("--edge", "first"), ("--json",)])
def test_a_file_without_a_whole_record_ends_tail_with_1(tmp_path, content, options):
    """In place of a log that has nothing to show."""
    for name in (tmp_path / "audit-000000000001.jsonl", tmp_path / "other"):
        name.write_bytes(content)
    for path in (tmp_path / "other", tmp_path):  # a file, and a folder
        done = keyless("audit", "tail", *options, str(path), check=False)
        assert done.returncode == 1 and done.stdout == "", (done.returncode, done.stdout)
        assert str(path) in done.stderr and "not one whole record" in done.stderr, done.stderr


def test_a_log_of_which_nothing_fits_ends_tail_with_0(written):
    done = keyless("audit", "tail", "--edge", "nobody", written.folder)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("arguments, said", [
    ((), "name one folder or file"),
    (("a", "b"), "name one folder or file"),
    (("-n", "-1", "x"), "-n takes a number"),
    (("-n", "x", "x"), "-n takes a number"),
    (("-n", "1000001", "x"), "-n takes a number"),
    (("--result", "fine", "x"), "it may be ok, refused"),
    (("/nonexistent",), "cannot be read"),
])
def test_wrong_use_of_tail_ends_with_2(arguments, said):
    done = keyless("audit", "tail", *arguments, check=False)
    assert done.returncode == 2 and said in done.stderr


def test_help_of_both_halves():
    for half in ("verify", "tail"):
        text = keyless("audit", half, "--help").stdout
        assert text.startswith("usage: keyless audit %s " % half)
        assert re.search(r"^  keyless audit %s " % half, text, re.M)


def test_two_folders_are_no_log(tmp_path):
    for name in "one", "two":
        (tmp_path / name).mkdir()
    done = verify(tmp_path / "one", tmp_path / "two")
    assert done.returncode != 0 and "one: is a folder; name one folder of a log, or only files of it" in done.stderr, done.stderr
