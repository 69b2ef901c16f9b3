# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of operations is complete, and the manual shows it as it is."""

from tests.harness.kernels import PROJECT
from tests.scenarios import operations


def test_every_cell_is_decided() -> None:
    """Each combination is there once, with an outcome or the reason why there is none."""
    cells = list(operations.cells())
    keys = {(cell.operation, cell.place, cell.error, cell.state) for cell in cells}
    errors = len(operations.ERRORS) - 1
    assert len(keys) == len(cells) == len(operations.OPERATIONS) * len(operations.STATES) * \
        (1 + (len(operations.PLACES) - 1) * errors)
    assert all(bool(cell.outcome) != bool(cell.why_not) for cell in cells)
    assert {cell.outcome for cell in cells} - {""} == set(operations.TELLS)
    assert {cell.operation for cell in operations.reachable()} == set(operations.OPERATIONS)


def test_manual_shows_the_table() -> None:
    """kmod/dm-remap.rst has what `python3 -m tests.scenarios.operations` prints."""
    assert operations.rst() in (PROJECT / "kmod" / "dm-remap.rst").read_text()
