# SPDX-License-Identifier: GPL-2.0-or-later
"""build/report.json: the figures of the runs that prove something, each by those that counted.

    python3 -m tests.report        prints the sums
"""

import fcntl
import json
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "build" / "report.json"


def add(key: str, part: str, number: int) -> None:
    """What PART of the figure KEY is now; the figure is the sum of its parts."""
    FILE.parent.mkdir(exist_ok=True)
    with open(FILE.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = json.loads(FILE.read_text()) if FILE.exists() else {}
        parts = known.setdefault("parts", {}).setdefault(key, {})
        parts[part] = number
        known[key] = sum(parts.values())
        temporary = FILE.with_suffix(".tmp")
        temporary.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        temporary.rename(FILE)


if __name__ == "__main__":
    for name, value in json.loads(FILE.read_text()).items():
        if name != "parts":
            print(f"{name:28}{value:>12}")
