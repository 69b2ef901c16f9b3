# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of suites. To add one, write its module and add a line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.peers import blktests, fio, lvm2, xfstests
from tests.peers.batch import Batch
from tests.peers.outcomes import Outcome


@dataclass(frozen=True)
class Suite:
    """DISKS: of a variant, name -> size. MISSING: why a directory cannot be used. TESTS: of a
    directory and a variant, those that some words select; without words those of GROUP. RUN: in
    the guest. A test may take LIMIT_S seconds."""

    variants: tuple[str, ...]
    group: str
    limit_s: float
    disks: Callable[[str], dict[str, int]]
    missing: Callable[[Path], str | None]
    tests: Callable[[Path, str, list[str]], list[str]]
    run: Callable[[Batch], Iterator[tuple[str, Outcome]]]


SUITES = {
    "xfstests": Suite(xfstests.VARIANTS, xfstests.GROUP, 600, xfstests.disks, xfstests.missing,
                      xfstests.tests, xfstests.run),
    "blktests": Suite(blktests.VARIANTS, "all", 600, blktests.disks, blktests.missing,
                      blktests.tests, blktests.run),
    "lvm2": Suite(lvm2.VARIANTS, "all", 600, lvm2.disks, lvm2.missing, lvm2.tests, lvm2.run),
    "fio": Suite(fio.VARIANTS, "all", 600, fio.disks, fio.missing, fio.tests, fio.run),
}
