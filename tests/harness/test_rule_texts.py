# SPDX-License-Identifier: GPL-2.0-or-later
"""common/RULES.md explains every rule that sources and tests name."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "common" / "RULES.md").read_text()
NUMBERS = {"P": 10, "C": 16, "D": 22, "E": 9, "O": 27}
LETTERED = re.compile(r"[(,] ?([PCDEO])(\d{1,2})(?=[,)])")


def explained() -> list[tuple[str, int]]:
    return [(kind, int(number)) for kind, number in re.findall(r"^- \*\*([PCDEO])(\d+)\*\* ", TEXT, re.M)]


def test_each_once_in_order() -> None:
    assert explained() == [(kind, number) for kind, last in NUMBERS.items()
                           for number in range(1, last + 1)]


def test_what_is_named_is_explained() -> None:
    files = [path for folder in ("kmod", "common", "daemon", "tests")
             for path in (PROJECT / folder).rglob("*.[chpm]*") if path.suffix in (".c", ".h", ".py")]
    unknown = {f"{path.relative_to(PROJECT)}: {kind}{number}" for path in files
               for kind, number in LETTERED.findall(path.read_text())
               if (kind, int(number)) not in set(explained())}
    assert not unknown
