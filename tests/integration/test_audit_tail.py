"""keyless audit tail: what a vault has recorded is shown, as it grows, and with filters."""
import base64
import json
import subprocess
import threading

import pytest

from command import run_on_terminal
from daemon import PATIENCE, program
from fleet import keyless
from processes import start


def tail(*arguments):
    return keyless("audit", "tail", *arguments).stdout.splitlines()


def test_tail_shows_the_last_ones_a_line_each(written_log):
    records = [record for _, _, record in written_log.lines()]
    assert len(tail(written_log.folder)) == 10
    for count in (0, 1, 10, len(records), len(records) + 5):
        shown = tail("-n", count, written_log.folder)
        assert len(shown) == min(count, len(records))
        assert [line.split()[1] for line in shown] == [str(r["seq"]) for r in records[len(records) - len(shown):]]
    assert len(tail("-n", "all", written_log.folder)) == len(records)
    assert len(tail("-n", 1000, written_log.files()[0])) == sum(p == written_log.files()[0] for p, _, _ in written_log.lines())


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
def test_tail_filters(written_log, options, fits):
    expected = [record for _, _, record in written_log.lines() if record["type"] in ("use", "refusals") and fits(record)]
    assert expected
    shown = [json.loads(line) for line in tail("-n", 1000, "--json", *options, written_log.folder)]
    assert shown == expected
    assert [json.loads(line) for line in tail("-n", 2, "--json", *options, written_log.folder)] == expected[-2:]


def test_tail_follows_from_file_to_file(live_log):
    process = start([program("keyless"), "audit", "tail", "-f", "-n", "3", "--json", live_log.folder],
                    stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        first = [json.loads(process.stdout.readline()) for _ in range(3)]
        before = len(live_log.files())
        while len(live_log.files()) < before + 3:
            live_log.more(10)
        live_log.end()
        last = live_log.lines()[-1][2]["seq"]
        seen = [record["seq"] for record in first]
        while seen[-1] < last:
            seen.append(json.loads(process.stdout.readline())["seq"])
        assert seen == list(range(seen[0], last + 1))
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def test_tail_has_colours_on_a_terminal_only(written_log):
    assert "\x1b[" not in "".join(tail(written_log.folder))
    assert "\x1b[32m" in run_on_terminal("audit", "tail", "-n", "100", written_log.folder)


def test_nothing_that_stands_in_a_log_reaches_the_terminal_raw(log_copy):
    """Neither a record that names something evil, nor a line that is none."""
    with open(log_copy.files()[-1], "ab") as handle:
        handle.write(b"\x1b[2Jevil\n")
    done = keyless("audit", "tail", "-n", "3", log_copy.folder, check=False)
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


def test_a_log_of_which_nothing_fits_ends_tail_with_0(written_log):
    done = keyless("audit", "tail", "--edge", "nobody", written_log.folder)
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
