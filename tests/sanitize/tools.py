# SPDX-License-Identifier: GPL-2.0-or-later
"""The two tools: what is run under them, and what they have to say afterwards.

A report counts whatever the program's exit code was: they go to files, and a file that is
there is a failure. Callers: the tests here, tests/scenarios/valgrind.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness import cache, kernels

PROJECT = kernels.PROJECT
HERE = Path(__file__).parent
ASAN_BUILD = PROJECT / "build" / "asan"
PROGRAMS = ("dmremap", "dm-remapd", "dm-remap-probe")
REPORTED = 99                   # exit code after a report


def build(directory: Path, *arguments: str) -> None:
    with cache.locked(PROJECT / "build" / f".{directory.name}.lock"):
        result = subprocess.run(["make", "-s", "-j2", "-C", str(PROJECT / "daemon"),
                                 f"BUILD={directory}", *arguments],
                                capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise kernels.BuildError(f"userspace does not build:\n{result.stderr[-3000:]}")


def asan_environment(log: str, suppressions: str) -> dict[str, str]:
    """What the sanitizers read; LOG is the beginning of their reports' names."""
    return {"ASAN_OPTIONS": f"log_path={log}:exitcode={REPORTED}:detect_leaks=1:"
                            "strict_string_checks=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": f"log_path={log}:print_stacktrace=1",
            "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0"}


@dataclass
class Tool:
    """One of them, with its reports in a directory of the test."""

    name: str
    reports: Path

    def __post_init__(self) -> None:
        self.reports.mkdir(exist_ok=True)

    @property
    def programs(self) -> Path:
        return ASAN_BUILD if self.name == "asan" else PROJECT / "build"

    @property
    def environment(self) -> dict[str, str]:
        if self.name == "asan":
            return {**os.environ, **asan_environment(str(self.reports / "asan"),
                                                     str(HERE / "lsan.supp"))}
        return dict(os.environ)

    def command(self, program: str, *arguments: str) -> list[str]:
        words = [str(self.programs / program), *arguments]
        if self.name == "asan":
            return words
        return ["valgrind", "--quiet", "--leak-check=full", "--sim-hints=lax-ioctls",
                "--errors-for-leak-kinds=definite,indirect", "--show-leak-kinds=definite,indirect",
                f"--suppressions={HERE}/valgrind.supp", f"--error-exitcode={REPORTED}",
                f"--log-file={self.reports}/valgrind.%p", *words]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(self.command(program, *arguments), env=self.environment,
                                capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                errors="replace")
        assert 0 <= result.returncode != REPORTED, (arguments, self.said() or result)
        return result

    def said(self) -> str:
        """All reports; valgrind leaves an empty file when it has nothing to say.

        What begins with -- is of valgrind itself, such as a system call that it does not know.
        """
        lines = (line for path in sorted(self.reports.iterdir())
                 for line in path.read_text(errors="replace").splitlines())
        return "\n".join(line for line in lines if line.strip() and not line.startswith("--"))
