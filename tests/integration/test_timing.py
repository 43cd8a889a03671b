"""What `make timing` relies on: its questions are what they say they are, and its statistics find what is there and nothing else."""
import os
import random
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "timing"))

import timing  # noqa: E402

KINDS = 12


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = timing.Bench(str(tmp_path_factory.mktemp("timing")))
    yield made
    made.site.close()


@pytest.mark.parametrize("operation", ["rsa_premaster", "rsa_master"])
def test_good_padding_alone_gives_what_was_encrypted(bench, operation):
    """tests/timing/ask.c fails otherwise, whichever kind it is."""
    names, rounds = bench.measure("keyless-server", operation, 0, 20)
    assert len(names) == KINDS and names[0] == "good"
    assert len(rounds) == 20 and all(len(values) == KINDS and min(values) > 0 for values in rounds)


def simulated(dice, rounds, shift):
    """Times like those of a shared machine: skew, with long tails, drifting. The first kind takes longer by SHIFT."""
    out = []
    for number in range(rounds):
        drift = 270000 + 20 * (number % 1000)
        values = [drift + dice.lognormvariate(9, 1) + (2e6 if dice.random() < 0.03 else 0) for _ in range(KINDS)]
        out.append([values[0] + shift] + values[1:])
    return out


def test_a_shift_is_found_and_its_size_is_in_the_interval():
    dice = random.Random(7)
    for shift in (2000, -2000):
        rounds = simulated(dice, 3000, shift)
        found = [timing.Difference(rounds, kind) for kind in range(KINDS)]
        assert abs(shift) > found[0].detectable > 0
        assert found[0].leaks and found[0].interval[0] <= shift <= found[0].interval[1]
        assert (found[0].score > 0) == (shift > 0)
        assert not any(other.leaks for other in found[1:])


def test_what_is_called_detectable_is_mostly_detected():
    dice = random.Random(8)
    plain = simulated(dice, 500, 0)
    size = timing.Difference(plain, 0).detectable
    hits = sum(timing.Difference(simulated(dice, 500, size), 0).leaks for _ in range(100))
    assert hits >= 85  # 95 are expected


def test_without_a_shift_hardly_anything_is_accused():
    dice = random.Random(9)
    scores = [timing.Difference(rounds, kind).score for rounds in (simulated(dice, 200, 0) for _ in range(100)) for kind in range(KINDS)]
    assert max(map(abs, scores)) < timing.critical(KINDS) + 0.5
    assert 0.9 < sum(s * s for s in scores) / len(scores) < 1.1  # the deviation is the one that is reckoned with
    assert 0.035 < sum(abs(s) > 1.96 for s in scores) / len(scores) < 0.065
