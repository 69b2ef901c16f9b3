# SPDX-License-Identifier: GPL-2.0-or-later
"""Crash states of the real module, in User Mode Linux: at least 2000 of each set's; and 5000
on each kind of disk that loses what it acknowledged, and says so once."""

import random
from pathlib import Path

import pytest

from tests.crash import enumerator, run
from tests.crash.geometry import DEFAULT, MAIN_SECTORS, SHAPES, Variant
from tests.harness import uml

# Which set, on which disks, and what becomes of writes to main's cache.
TOLD_ONCE = [("wide", "late", "through"), ("tight", "worst", "through"),
             ("wide", "worst", "keep"), ("across", "late", "auto")]


def _judge(shape: str, variant: Variant, operations: int, states: int, activate: int) -> None:
    seed = random.randrange(1 << 32)
    print(f"repeat with: python3 -m tests.crash.run --shape {shape} --disks {variant.disks_name} "
          f"--cache {variant.cache} --seed {seed} --operations {operations} --states {states} "
          f"--activate {activate}")
    wrong = run.run(shape, seed, operations, states, activate, variant=variant)
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_no_crash_loses_anything(shape: str) -> None:
    _judge(shape, DEFAULT, 800, 40000, 30)


@pytest.mark.parametrize("shape, disks, cache", TOLD_ONCE)
def test_what_is_lost_is_told(shape: str, disks: str, cache: str) -> None:
    """P1, D17, D19: no flush succeeds when what it covers is gone, and no good sector is
    remapped."""
    _judge(shape, Variant(disks, cache), 600, 5000, 10)


@pytest.mark.slow
@pytest.mark.parametrize("disks, cache", [("plain", "through"), ("late", "through"),
                                          ("worst", "keep"), ("late", "auto")])
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_many_are_activated(shape: str, disks: str, cache: str) -> None:
    """5000 states in all, which the module must serve as the resolver says."""
    _judge(shape, Variant(disks, cache), 1500, 50000, 430)


def _hide_errors(log: Path) -> int:
    """As if the disks told no flush what was lost; how many errors there were."""
    data = bytearray(log.read_bytes())
    at = hidden = 0
    while (at := data.find(b"flush-ack ", at)) >= 0:
        end = at + int.from_bytes(data[at - 20:at - 16], "little")    # the record's length
        if data[at:end].endswith(b" 5"):
            data[end - 1:end] = b"0"
            hidden += 1
        at = end
    log.write_bytes(data)
    return hidden


def test_control_without_a_set() -> None:
    """The same done to the disk itself: all of that is allowed, so it is not too much that is
    asked for; and none of it could be hidden, so it is not too little."""
    seed = random.randrange(1 << 32)
    print(f"repeat with: python3 -m tests.crash.run --disks late --cache bare --seed {seed}")
    enumerator.build()
    outcome = uml.run(run.HERE / "workload.py", ["wide", str(seed), "1600", "late", "bare"],
                      name="crash-control")
    assert not outcome.failure, outcome.failure
    log = outcome.results / "log"

    def judge() -> enumerator.Verdict:
        return enumerator.enumerate_states(log, MAIN_SECTORS, SHAPES["wide"].spare_sectors, 5000,
                                           seed, ["--bare"])

    verdict = judge()
    assert verdict.allowed, verdict.text
    assert _hide_errors(log) > 3
    assert not judge().allowed
