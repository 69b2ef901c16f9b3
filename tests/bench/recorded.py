# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures that the fast path must keep, and whether it does.

Owns recorded.json: the cost of a random I/O of 4 KiB at 1,000,000 remaps, against dm-linear's,
by operation and kind. Only what is worse counts; who makes it better records that:

    python3 -m tests.bench.run --quick --only fast_path --record

Callers: run.py, test_cost.py.
"""

import json
from pathlib import Path

from tests.bench.fast_path import QUICK_COUNTS, Row

FILE = Path(__file__).with_name("recorded.json")
LICENSE = "SPDX-License-Identifier: GPL-2.0-or-later"
MAY_GROW = 0.005
SIZE, PATTERN, REMAPS = 4096, "random", QUICK_COUNTS[-1]


def ratios(rows: list[Row]) -> dict[str, float]:
    """Of the rows that are recorded: by "read clean" and so on."""
    return {f"{row.op} {row.kind}": row.ratio_to_linear for row in rows
            if (row.stack, row.size, row.pattern, row.remaps) == ("remap", SIZE, PATTERN, REMAPS)
            and row.op in ("read", "write")}


def load() -> dict[str, float]:
    found: dict[str, float] = json.loads(FILE.read_text())["ratio_to_linear"]
    return found


def record(rows: list[Row]) -> None:
    FILE.write_text(json.dumps({"license": LICENSE, "ratio_to_linear": ratios(rows)},
                               indent=1) + "\n")


def grown(rows: list[Row], known: dict[str, float]) -> list[str]:
    """A line for each figure that grew too much, or that nothing is known of."""
    found = ratios(rows)
    missing = [f"{name}: not measured, or not recorded" for name in sorted(found.keys() ^ known)]
    return missing + [f"{name}: {found[name]:.4f} of dm-linear's instructions, {known[name]:.4f} "
                      "is recorded" for name in sorted(found.keys() & known)
                      if found[name] > known[name] * (1 + MAY_GROW)]
