# SPDX-License-Identifier: GPL-2.0-or-later
"""Kinds of disks that the scenarios run on: one table.

A run in User Mode Linux is on one of them (`python3 -m tests.harness.uml --disks KIND`, or
the suite's DISKS in tests/suites.py); the guest finds its name in DM_REMAP_DISKS. A scenario
that says something which is not so on some of them has @pytest.mark.not_on(KIND…, reason=…).
Callers: uml.py, runner.py, the scenarios' fixture `rig`.
"""

import os
from dataclasses import dataclass

VARIABLE = "DM_REMAP_DISKS"
PLAIN = "plain"


@dataclass(frozen=True)
class Kind:
    """Options of remap-blockd for the disk "main", the disk "spare", and all others. LATE:
    where main fails to be written, a write into its cache succeeds and the flush fails."""

    main: str = ""
    spare: str = ""
    others: str = ""
    late: bool = False

    def options(self, disk: str) -> str:
        return {"main": self.main, "spare": self.spare}.get(disk, self.others)


KINDS = {
    PLAIN: Kind(),
    # a disk as SATA disks are: no FUA behind a cache; the spare a good SSD, and the reverse
    "main-no-fua": Kind(main="fua=off"),
    "spare-no-fua": Kind(spare="fua=off"),
    "no-fua": Kind("fua=off,serial=on", "fua=off,serial=on", "fua=off,serial=on"),
    "late": Kind(main="fua=off", late=True),
}


def kind_of_guest() -> Kind:
    """What the guest that we are runs on."""
    return KINDS[os.environ.get(VARIABLE) or PLAIN]
