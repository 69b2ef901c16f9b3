# SPDX-License-Identifier: GPL-2.0-or-later
"""What systemd-analyze security counts against dm-remapd.service, and whether the unit says why.

The list differs between releases of systemd. Callers: tests/packages (this machine's systemd),
tests/vm (that of each guest).
"""

import json
import re

from tests.harness.kernels import PROJECT

UNIT = PROJECT / "systemd" / "dm-remapd.service"
COMMAND = "systemd-analyze security --no-pager --threshold=30"    # 3.0 of 10 at most


def _words(name: str) -> list[str]:
    """What may stand for setting NAME: "User=/DynamicUser=", "SystemCallFilter=~@resources"."""
    if "~" in name:
        return [name.partition("~")[2]]
    return re.findall(r"\w+=", name)


def unexplained(report: str, unit: str) -> list[str]:
    """The settings that REPORT (--json=short) counts and that no comment of UNIT names."""
    comments = "\n".join(line for line in unit.splitlines() if line.startswith("#"))
    counted = [row["name"] for row in json.loads(report) if row["set"] is False and row["exposure"]]
    assert counted, "systemd counts nothing at all"
    return [name for name in counted
            if not any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", comments)
                       for word in _words(name))]
