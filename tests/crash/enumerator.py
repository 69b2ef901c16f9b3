# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs remap-enumerate, the program that makes and judges crash states."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BUILD = PROJECT / "build" / "crash"
ENUMERATE = BUILD / "remap-enumerate"
RESOLVE = BUILD / "remap-resolve"


class EnumeratorError(Exception):
    """The states could not be judged; the text says why."""


@dataclass(frozen=True)
class Verdict:
    """ALLOWED: all states are. TEXT: what it printed, the violations first."""

    allowed: bool
    text: str

    @property
    def states(self) -> int:
        return int(self.text.splitlines()[-1].split()[0])


def build() -> None:
    """Build the C programs if their sources are newer."""
    result = subprocess.run(["make", "-s", "-C", str(Path(__file__).parent), f"BUILD={BUILD}"],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise EnumeratorError(f"remap-enumerate does not build:\n{result.stdout}{result.stderr}")


def enumerate_states(log: Path, main_sectors: int, spare_sectors: int, states: int = 2000,
                     seed: int | None = None, more: list[str] | None = None) -> Verdict:
    command = [str(ENUMERATE), "--log", str(log), "--main-sectors", str(main_sectors),
               "--spare-sectors", str(spare_sectors), "--states", str(states)]
    command += ["--seed", str(seed)] if seed is not None else []
    result = subprocess.run(command + (more or []), capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)
    if result.returncode not in (0, 1):
        raise EnumeratorError(f"{' '.join(command)}: {result.stderr}")
    return Verdict(result.returncode == 0, result.stdout)
