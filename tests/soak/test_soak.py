# SPDX-License-Identifier: GPL-2.0-or-later
"""A soak of a minute; its plan is the seed's alone, and its model refuses what must not be."""

import random

import pytest

from tests.harness.disks import KINDS
from tests.soak import plan, run
from tests.soak.model import Model
from tests.soak.plan import LARGE, SMALL, WRITERS


def test_a_minute() -> None:
    seed = random.randrange(1 << 32)
    print(f"repeat with: python3 -m tests.soak.run --seed {seed} --sessions 2")
    outcome = run.run(1, seed, sessions=2, echo=False)
    assert not outcome.failure, f"{outcome.failure}\n{outcome.output[-6000:]}"


def test_the_seed_decides() -> None:
    assert plan.life(7, 3) == plan.life(7, 3)
    assert plan.life(7, 3) != plan.life(7, 4) and plan.life(7, 3) != plan.life(8, 3)
    assert {plan.life(7, number).disks for number in range(len(KINDS))} == set(KINDS)


@pytest.mark.parametrize("unit", [1, 8])
def test_each_sector_has_one_writer(unit: int) -> None:
    owned = [sector + i for writer in range(WRITERS + 1) for sector in plan.units(writer, unit)
             for i in range(unit)]
    assert sorted(owned) == [*SMALL, *LARGE]


def model(late: bool = False) -> Model:
    return Model(range(16), late)


def write(m: Model, sectors: range = range(1), durably: bool = False) -> int:
    flush = m.flush_begins() if durably else None
    number = m.begin(sectors)
    m.written(number, flush)
    return number


def test_a_write_is_there_and_a_power_cut_may_undo_it() -> None:
    m = model()
    number = write(m)
    assert m.problem(0, 0) and not m.problem(0, number)
    m.power_is_cut()
    assert not m.problem(0, 0) and not m.problem(0, number)
    m.settle(0, number)
    assert m.problem(0, 0)


def test_what_was_flushed_stays() -> None:
    m = model()
    first = write(m)
    flush = m.flush_begins()
    second = write(m)
    m.flushed(flush)
    m.power_is_cut()
    assert m.problem(0, 0) and not m.problem(0, first) and not m.problem(0, second)
    third = write(m, durably=True)
    m.power_is_cut()
    assert m.problem(0, second) and not m.problem(0, third)


def test_a_flush_that_failed_puts_in_doubt() -> None:
    m = model()
    number = write(m)
    flush = m.flush_begins()
    m.flush_failed(flush)
    assert not m.problem(0, 0) and not m.problem(0, number)
    m.flushed(m.flush_begins())    # whichever is there
    m.power_is_cut()
    assert not m.problem(0, 0) and not m.problem(0, number)


def test_a_flush_does_not_settle_what_another_one_lost() -> None:
    m = model()
    number = write(m)
    good, bad = m.flush_begins(), m.flush_begins()
    m.flushed(good)
    m.flush_failed(bad)
    assert not m.problem(0, 0) and not m.problem(0, number)


def test_a_write_that_is_on_its_way_while_a_flush_fails_may_be_lost() -> None:
    """The disk had it in its cache, and its writer is the last one to run."""
    m = model()
    flush = m.flush_begins()
    number = m.begin(range(1))
    m.flush_failed(flush)
    m.written(number, None)
    assert not m.problem(0, 0) and not m.problem(0, number)
    m.flushed(m.flush_begins())    # whichever is there
    assert not m.problem(0, 0) and not m.problem(0, number)
    settled = write(m)
    assert m.problem(0, 0) and m.problem(0, number) and not m.problem(0, settled)
    fua, flush = m.flush_begins(), m.flush_begins()
    number = m.begin(range(1))
    m.flush_failed(flush)
    m.written(number, fua)
    assert m.problem(0, settled) and not m.problem(0, number)


def test_a_flush_that_is_not_over_may_have_been_told_of_a_loss() -> None:
    """Its writer is the last one to run: whoever reads before that is right."""
    m = model()
    early = m.flush_begins()
    number = write(m)
    m.flushed(m.flush_begins())
    assert not m.problem(0, 0) and not m.problem(0, number)
    m.flush_failed(early)
    assert not m.problem(0, 0) and not m.problem(0, number)
    settled = write(m)
    m.flushed(m.flush_begins())
    assert m.problem(0, 0) and m.problem(0, number) and not m.problem(0, settled)


def test_unreadable_until_it_is_written() -> None:
    m = model()
    m.harm(3, 2, unreadable=True)
    assert not m.must_be_readable(range(3, 4)) and m.must_be_readable(range(5, 8))
    assert not m.must_be_writable(range(7, 8)) and m.must_be_writable(range(8, 9))
    write(m, range(3, 5))
    assert m.must_be_readable(range(0, 16))
    late = model(late=True)
    late.harm(3, 1, unreadable=True)
    write(late, range(3, 4))
    assert not late.must_be_readable(range(3, 4))    # it is in a cache
    late.flushed(late.flush_begins())
    assert late.must_be_readable(range(3, 4))
