# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of an I/O stays what README says of it."""

import pytest

from tests.bench import run

MOST = {"clean": 1.018, "miss": 1.028, "hit": 1.042}    # give or take what two boots differ by


@pytest.fixture(scope="module")
def rows() -> list[run.Row]:
    return run.run(quick=True)


def test_repeats_agree(rows: list[run.Row]) -> None:
    """What is measured is the code, not the moment."""
    assert [row for row in rows if row.spread > run.SPREAD] == []


@pytest.mark.parametrize("kind", MOST)
def test_cost(rows: list[run.Row], kind: str) -> None:
    """Instructions of a read or write of 4 KiB, against dm-linear's."""
    found = [row for row in rows if row.stack == "remap" and row.kind == kind]
    assert {row.op for row in found} == {"read", "write"}
    assert [row for row in found if row.ratio_to_linear > MOST[kind] + run.SPREAD] == []
