# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints the README's table of kernels, from the results of the tests in this directory.

    python3 -m tests.kernels.table         after pytest on tests/kernels, or make check-all
"""

import sys
from typing import Any

from tests.harness import headers
from tests.kernels import results

BUILDS = ("test_builds_without_warnings", "test_says_the_truth_about_itself")
STRESS = "test_a_minute"
HEAD = """| kernel | compiler | builds | scenarios in a guest | stress in a guest, one minute |
| --- | --- | --- | --- | --- |"""


def _cells(row: dict[str, Any]) -> list[str]:
    tests: dict[str, str] = row["tests"]
    builds = [tests.get(name) for name in BUILDS]
    scenarios = [outcome for name, outcome in tests.items() if name not in (*BUILDS, STRESS)]
    built = "failed" if "failed" in builds else "yes" if builds == ["passed"] * 2 else "not tried"
    booted = f"{scenarios.count('passed')} of {len(scenarios)} pass" if scenarios else "not booted"
    stress = tests.get(STRESS, "")
    if stress == "passed":
        found = row["stress"]
        stress = (f"{found['operations']} operations, {found['commands']} commands, "
                  f"{found['relocations']} relocations")
    return [row["release"], row["compiler"], built, booted, stress]


def lines() -> list[str]:
    rows = results.read()
    known = [name for name in (*headers.KERNELS, *headers.OTHERS) if name in rows]
    return [*HEAD.splitlines(),
            *("| " + " | ".join(_cells(rows[name])) + " |" for name in known)]


def main() -> int:
    if not results.PATH.is_file():
        print(f"{results.PATH}: not there; run pytest on tests/kernels first", file=sys.stderr)
        return 1
    print("\n".join(lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
