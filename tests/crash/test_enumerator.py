# SPDX-License-Identifier: GPL-2.0-or-later
"""The enumerator on a model of the commit protocol: it accepts the rules and finds each
broken one. Runs on the host, in seconds."""

import random
from pathlib import Path

import pytest

from tests.crash import enumerator, model, stamp


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    enumerator.build()


def judge(tmp_path: Path, seed: int, broken: str | None = None,
          told_once: bool = False) -> enumerator.Verdict:
    log = tmp_path / f"log-{seed}"
    model.make_log(log, seed, broken=broken, told_once=told_once)
    return enumerator.enumerate_states(log, model.MAIN_SECTORS, model.SPARE_SECTORS, 2000, seed)


@pytest.mark.parametrize("told_once", [False, True])
def test_rules_kept(tmp_path: Path, told_once: bool) -> None:
    for seed in [1, 2, 3, 4, random.randrange(1 << 32)]:
        verdict = judge(tmp_path, seed, told_once=told_once)
        assert verdict.allowed, f"seed {seed}:\n{verdict.text}"
        assert verdict.states >= 2000


@pytest.mark.parametrize("rule", sorted(model.RULES))
def test_rule_broken(tmp_path: Path, rule: str) -> None:
    for seed in range(1, 13):
        verdict = judge(tmp_path, seed, rule)
        if not verdict.allowed:
            print(f"seed {seed}: {verdict.text.splitlines()[0]}")
            return
    pytest.fail(f"no check noticed a commit that {model.RULES[rule]}")


def test_states_repeat(tmp_path: Path) -> None:
    """A violation can be looked at again, alone, and its images written out."""
    log = tmp_path / "log"
    model.make_log(log, 1, broken="no-flush")
    sizes = (model.MAIN_SECTORS, model.SPARE_SECTORS)
    first = enumerator.enumerate_states(log, *sizes, seed=7).text.splitlines()[0]
    name = first.split()[1]
    again = enumerator.enumerate_states(log, *sizes, seed=7, more=[
        "--only", name, "--dump", str(tmp_path / "dump")])
    assert not again.allowed and again.states == 1
    assert again.text.splitlines()[0] == first
    for image, sectors in [("main", sizes[0]), ("spare", sizes[1]), ("content", sizes[0])]:
        assert (tmp_path / "dump" / f"{image}.img").stat().st_size == sectors * 512


def test_stamps() -> None:
    data = stamp.stamp(5, 2, 99)
    assert stamp.read(data[:512]) == (5, 99)
    assert stamp.read(data[512:]) == (6, 99)
    assert stamp.read(bytes(512)) is None
    assert stamp.read(data[:256] + data[768:]) is None
