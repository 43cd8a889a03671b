"""SIGKILL at any moment, to the vault, to the net process or to all: nothing that was answered is without its record."""
import concurrent.futures
import contextlib
import os
import random
import signal
import time

import pytest

from audit_log import Load, records, uses
from daemon import wait_until
from fleet import Site, keyless
from pki import key_id
from processes import members

KILLS = 200
YARDS = 4         # at the same time, each with a log of its own
DEATHS_OF_ONE = 2  # of vault or net under one supervisor, which waits twice as long after each
AUDIT = 'access_log = off\naudit { rotate_size = 64k checkpoint = 100ms sync = %s }'


class Yard:
    """A key server under load, and somebody who kills as DICE say."""

    def __init__(self, site, pki, dice, sync):
        self.site, self.dice = site, dice
        self.server = site.start_server([pki.p256[0]], extra=AUDIT % sync)
        self.folder = os.path.join(self.server.folder, "audit")
        self.load = Load(site, self.server, key_id(pki.p256[1]))
        self.deaths, self.killed = {"vault": 0, "net": 0}, {"vault": 0, "net": 0, "whole": 0}

    def choose(self):
        victim = self.dice.choice(["vault", "vault", "vault", "net", "whole"])
        return "whole" if victim != "whole" and self.deaths[victim] == DEATHS_OF_ONE else victim

    def find(self, word):
        return [pid for name, pid in self.server.children().items() if word in name]

    def kill_whole(self):
        """As when the machine goes, but in an order of its own."""
        pids = list(self.server.children().values()) + [self.server.pid]
        self.dice.shuffle(pids)
        for pid in pids:
            kill(pid)
        self.server.wait_exit()
        wait_until(lambda: not members(self.server.pid), "the end of all of its processes: one holds the port")
        self.server = self.site.bring_back(self.server)
        self.deaths = {"vault": 0, "net": 0}

    def kill_one(self, word):
        kill(wait_until(lambda: self.find(word), "a process: " + word)[0])
        self.deaths[word] += 1

    def pass_time(self, victim):
        """To a moment when there is something to be killed: amid work, amid a reload, or while it is beginning to live."""
        moment = self.dice.choice(["work", "work", "work", "reload", "birth"])
        if moment == "birth" and victim != "whole":
            wait_until(lambda: self.find(victim), "a process: " + victim)
        else:
            self.load.wait_more(self.dice.randint(1, 100))
        if moment == "reload":
            self.server.send_signal(signal.SIGHUP)
        time.sleep(self.dice.uniform(0, 0.05))

    def kill(self):
        victim = self.choose()
        self.pass_time(victim)
        if victim == "whole":
            self.kill_whole()
        else:
            self.kill_one(victim)
        self.killed[victim] += 1

    def run(self, kills):
        try:
            for _ in range(kills):
                self.kill()
        except AssertionError as error:
            raise AssertionError("%s; its log:\n%s" % (error, "\n".join(self.server.lines[-60:]))) from error
        self.load.wait_more(self.load.in_flight + 1)  # the last one is of a vault that lives, and ends in order
        self.load.end()
        assert self.server.stop() == 0
        return self


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended with its parent, or with the net process


@pytest.fixture
def yards(tmp_path, pki):
    seed = random.SystemRandom().getrandbits(32)
    print("seed %d" % seed)
    with contextlib.ExitStack() as stack:
        made = []
        for i in range(YARDS):
            site = stack.enter_context(contextlib.closing(Site(tmp_path / str(i), pki.authority)))
            made.append(Yard(site, pki, random.Random(seed + i), ["interval", "always"][i % 2]))
            stack.enter_context(contextlib.closing(made[-1].load))
        yield made


def test_no_answer_is_without_its_record_whenever_who_makes_it_is_killed(yards):
    with concurrent.futures.ThreadPoolExecutor(YARDS) as pool:
        list(pool.map(lambda yard: yard.run(KILLS // YARDS), yards))
    for yard in yards:
        found = records(yard.folder)
        recorded, answers = uses(found), yard.load.answers
        print("killed %s, answered %d, recorded %d, files %d, lines cut off %d" % (
            yard.killed, len(answers["ok"]), len(recorded), sum(r["type"] == "segment" for r in found),
            sum(r.get("torn", 0) > 0 for r in found)))
        done = keyless("audit", "verify", "--key", os.path.join(yard.server.folder, "audit.pub"), yard.folder, check=False)
        assert done.returncode == 0 and done.stdout.startswith("good: "), done.stdout + done.stderr
        assert not [record for record in found if record["type"] in ("damage", "gap")]
        unrecorded = [trace for trace in answers["ok"] if recorded.get(trace) != ["ok"]]
        assert not unrecorded, "%d of %d answers; the first one: %s" % (len(unrecorded), len(answers["ok"]), unrecorded[0])
        assert all(len(results) == 1 for results in recorded.values())
        assert len(set(answers["ok"])) == len(answers["ok"]) > KILLS
        assert not set(answers) - {"ok", "unavailable"}, answers.keys()
    assert sum(sum(yard.killed.values()) for yard in yards) == KILLS
