# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of an I/O stays what is recorded, give or take what two boots differ by."""

from dataclasses import replace

import pytest

from tests.bench import recorded, report, run
from tests.bench.fast_path import SPREAD, Row


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return run.fast_path(quick=True)


def test_repeats_agree(rows: list[Row]) -> None:
    """What is measured is the code, not the moment."""
    assert [row for row in rows if row.spread > SPREAD] == []


def test_cost(rows: list[Row]) -> None:
    """Instructions of a read or write of 4 KiB beside 1,000,000 remaps, against dm-linear's."""
    assert recorded.grown(rows, recorded.load()) == []


def test_growth_is_noticed(rows: list[Row]) -> None:
    """The guard itself: each figure, a little over what is allowed, fails alone."""
    known = recorded.ratios(rows)
    assert recorded.grown(rows, known) == []
    for name in known:
        op, kind = name.split()
        slower = [replace(row, ratio_to_linear=row.ratio_to_linear * 1.0052)
                  if (row.stack, row.op, row.kind) == ("remap", op, kind) else row
                  for row in rows]
        complaints = recorded.grown(slower, known)
        assert len(complaints) == 1 and complaints[0].startswith(name)
        assert len(recorded.grown([row for row in rows if (row.op, row.kind) != (op, kind)],
                                  known)) == 1


def test_plot(rows: list[Row]) -> None:
    """It has a line for each stack and kind, in both panels."""
    plot = report.plot(rows)
    for op in ("read", "write"):
        assert f">{op}, 4 KiB, random<" in plot
    assert plot.count("<title>remap, hit</title>") == 2
