"""keyless audit verify: what a vault has recorded is verified; whatever is done to it is found and named."""
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

from command import run_on_terminal
from daemon import BUILD, PATIENCE
from fleet import keyless
from pki import openssl
from written_log import WrittenLog


def verify(*arguments):
    return keyless("audit", "verify", *arguments, check=False)


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


def test_a_whole_log_is_good(written_log):
    done = verify(written_log.folder)
    assert done.returncode == 0 and not done.stderr
    lines = written_log.lines()
    assert done.stdout.startswith("good: records 1 to %d in %d files" % (len(lines), len(written_log.files())))
    assert "compare it with audit.pub" in done.stdout
    with open(written_log.public) as handle:
        assert handle.read().strip() in done.stdout
    assert lines[-1][2]["hash"] in done.stdout
    assert verify(*written_log.files()).returncode == 0


def test_hashes_and_signatures_are_those_of_the_manual(written_log, tmp_path):
    """The same by other means: hashlib and OpenSSL, from the lines alone."""
    previous, checkpoints = bytes(32), 0
    with open(written_log.public) as handle:
        public = base64.b64decode(handle.read())
    der = tmp_path / "public.der"
    der.write_bytes(bytes.fromhex("302a300506032b6570032100") + public)
    for path in written_log.files():
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


def test_with_the_key_there_is_nothing_to_compare(written_log):
    with open(written_log.public) as handle:
        text = handle.read().strip()
    for key in (written_log.public, text):
        done = verify("--key", key, written_log.folder)
        assert done.returncode == 0 and "compare" not in done.stdout
    other = keyless("pubkey", input=keyless("genkey").stdout).stdout.strip()
    done = verify("--key", other, written_log.folder)
    assert done.returncode == 1 and "none of those that were given" in done.stderr
    assert verify("--key", other, "--key", text, written_log.folder).returncode == 0


def test_json_says_all_of_it(written_log, log_copy):
    records = [record for _, _, record in written_log.lines()]
    report = json.loads(verify("--json", written_log.folder).stdout)
    assert report["good"] and report["flaw"] is None
    assert (report["first"], report["last"]) == (1, len(records)) and report["files"] == len(written_log.files())
    assert report["checkpoint"] == {"seq": len(records), "hash": records[-1]["hash"]}
    for result, count in report["decisions"].items():
        assert count == sum(r["type"] == "use" and r["result"] == result for r in records)
    path, number, record = [entry for entry in log_copy.lines() if entry[2]["type"] == "use"][7]
    change(path, record["trace"].encode(), b"f" * 32)
    done = verify("--json", log_copy.folder)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["good"]
    flaw = report["flaw"]
    assert (flaw["kind"], flaw["file"], flaw["line"], flaw["seq"]) == ("altered", path, number, record["seq"])


def test_a_changed_record_is_named(log_copy):
    path, number, record = [entry for entry in log_copy.lines() if entry[2]["type"] == "use"][20]
    change(path, b'"seq":%d,' % record["seq"], b'"seq":%d,' % (record["seq"] + 1000))
    done = verify(log_copy.folder)
    assert done.returncode == 1
    assert "%s:%d: the number of record %d was altered" % (path, number, record["seq"]) in done.stderr
    assert "up to record %d it is good" % (record["seq"] - 1) in done.stdout


def test_a_removed_record_is_named(log_copy):
    path, number, record = [entry for entry in log_copy.lines() if entry[2]["type"] == "use"][20]
    drop_lines(path, number, number + 1)
    done = verify(log_copy.folder)
    assert done.returncode == 1
    assert "%s:%d: records %d to %d are missing" % (path, number, record["seq"], record["seq"] + 1) in done.stderr


def test_each_removed_file_is_named(written_log, tmp_path):
    for index, path in enumerate(written_log.files()):
        log = written_log.copy(tmp_path / str(index))
        os.unlink(log.files()[index])
        done = verify(log.folder)
        assert done.returncode == 1
        if index == 0:
            assert "the files before it are missing" in done.stderr and "--part" in done.stderr
        elif index + 1 < len(written_log.files()):
            assert "where is the file " + os.path.basename(path) in done.stderr
        else:
            assert "the log ends with record" in done.stderr


def test_a_cut_back_to_a_checkpoint_is_found_by_the_note_or_by_what_was_logged(log_copy):
    lines = log_copy.lines()
    path, number, record = [entry for entry in lines if entry[2]["type"] == "checkpoint"][-2]
    last = lines[-1][2]
    with open(path) as handle:
        kept = handle.readlines()[:number]
    with open(path, "w") as handle:
        handle.writelines(kept)
    for other in [p for p in log_copy.files() if p > path]:
        os.unlink(other)
    done = verify(log_copy.folder)
    assert done.returncode == 1 and "the log ends with record %d" % record["seq"] in done.stderr
    os.unlink(os.path.join(log_copy.folder, "head"))
    for options in ((), ("--live",), ("--part",), ("--live", "--part", "--key", log_copy.public)):
        done = verify(*options, log_copy.folder)
        assert done.returncode == 1 and "the file head is missing" in done.stderr and "event=audit_checkpoint" in done.stderr
    done = verify("--head", "%d:%s" % (last["seq"], last["hash"]), log_copy.folder)
    assert done.returncode == 1 and "checkpoint %d was noted" % last["seq"] in done.stderr
    assert verify("--head", "%d:%s" % (record["seq"], record["hash"]), log_copy.folder).returncode == 0
    assert verify(*log_copy.files()).returncode == 0  # nothing else could tell
    done = verify("--head", "%d:%s" % (record["seq"], "0" * 64), log_copy.folder)
    assert done.returncode == 1 and "has another hash than was noted" in done.stderr


def test_all_files_gone_but_the_note_is_there(log_copy):
    for path in log_copy.files():
        os.unlink(path)
    done = verify(log_copy.folder)
    assert done.returncode == 1 and "all files of the log are missing" in done.stderr


def test_an_emptied_log_is_never_good_and_names_no_key(log_copy):
    for path in log_copy.files():
        os.truncate(path, 0)
    os.unlink(os.path.join(log_copy.folder, "head"))
    for what in ([log_copy.folder], log_copy.files()):
        for options in ((), ("--live",), ("--part",), ("--live", "--part", "--key", log_copy.public)):
            done = verify(*options, *what)
            assert done.returncode == 1 and "no record is there" in done.stderr, done
            assert done.stdout == "bad\n"
        report = json.loads(verify("--live", "--json", *what).stdout)
        assert not report["good"] and report["flaw"]["kind"] == "missing" and report["key"] is None


def test_a_log_of_which_nothing_is_signed_is_not_good(log_copy):
    path, number, _ = [entry for entry in log_copy.lines() if entry[2]["type"] == "checkpoint"][0]
    with open(path) as handle:
        kept = handle.readlines()[:number - 1]
    with open(path, "w") as handle:
        handle.writelines(kept)
    for options in (("--live",), ("--live", "--part", "--key", log_copy.public)):
        done = verify(*options, path)
        assert done.returncode == 1 and "no checkpoint signs any of its records" in done.stderr, done


def test_a_note_that_is_not_there_yet_is_waited_for(log_copy):
    note = os.path.join(log_copy.folder, "head")
    os.rename(note, note + ".later")
    run = subprocess.Popen([os.path.join(BUILD, "keyless"), "audit", "verify", "--live", log_copy.folder], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(0.2)
    os.rename(note + ".later", note)
    out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0 and out.startswith("good: "), err


def test_a_note_that_cannot_be_read_is_not_taken_for_one_that_is_missing(log_copy):
    note = os.path.join(log_copy.folder, "head")
    os.unlink(note)
    os.mkdir(note)
    done = verify("--live", log_copy.folder)
    assert done.returncode == 2 and "head: cannot be read: it is a folder" in done.stderr, done


def test_closed_files_that_are_kept_elsewhere_are_named(log_copy):
    kept = log_copy.files()[:-1]
    os.unlink(log_copy.files()[-1])
    os.unlink(os.path.join(log_copy.folder, "head"))
    done = verify("--part", "--key", log_copy.public, log_copy.folder)
    assert done.returncode == 1 and "name the files" in done.stderr
    assert verify("--part", "--key", log_copy.public, *kept).returncode == 0


def test_a_note_of_somebody_else_is_found(log_copy, tmp_path, pki):
    stranger = WrittenLog(tmp_path / "stranger", {"www": pki.p256[0]}, count=1).end()
    shutil.copy(os.path.join(stranger.folder, "head"), log_copy.folder)
    done = verify(log_copy.folder)
    assert done.returncode == 1 and ("another hash" in done.stderr or "not signed by the key" in done.stderr)
    with open(os.path.join(log_copy.folder, "head"), "w") as handle:
        handle.write("{}\n")
    done = verify(log_copy.folder)
    assert done.returncode == 1 and "it was altered" in done.stderr


def test_a_part_is_good_when_it_is_called_one(written_log):
    middle = written_log.files()[1:-1]
    assert verify(*middle).returncode == 1
    assert verify("--part", *middle).returncode == 0
    assert verify("--part", middle[1], middle[0]).returncode == 1


def test_a_log_that_is_being_written_is_good_as_far_as_it_is(live_log):
    live_log.more(3)
    assert verify("--live", live_log.folder).returncode == 0
    for _ in range(50):  # until no file was begun meanwhile
        files = live_log.files()
        done = verify(*files)
        if live_log.files() == files:
            break
    assert done.returncode == 1 and "--live" in done.stderr
    live_log.end()
    assert verify(live_log.folder).returncode == 0


def test_a_long_log_shows_its_progress_on_a_terminal_only(tmp_path, written_log):
    folder = str(tmp_path / "log")
    subprocess.run([os.path.join(BUILD, "tests", "peer_audit"), "bench", folder, written_log.key,
                    os.path.join(written_log.top, "keys"), "120000", "64", "interval"], check=True, stdout=subprocess.DEVNULL)
    done = verify(folder)
    assert done.returncode == 0 and "120000 ok" in done.stdout and not done.stderr
    shown = run_on_terminal("audit", "verify", folder)
    assert re.search(r"verified +\d+ % of \d+ MiB", shown) and "good: records 1 to" in shown


def test_what_was_recorded_about_trouble_is_said(tmp_path, pki):
    log = WrittenLog(tmp_path / "trouble", {"www": pki.p256[0]}, count=5).end()
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
