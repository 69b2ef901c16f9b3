# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: some tests of a suite on one stack, each with a time limit."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.peers.outcomes import STARTED, TIMEOUT, Outcome

Split = Callable[[str], list[tuple[str, str]]]
Judge = Callable[[str, str], Outcome]


@dataclass(frozen=True)
class Batch:
    """TESTS to run in SOURCE, on DEVICES (name -> path); RESULTS is a directory of the host."""

    source: Path
    stack: str
    variant: str
    tests: list[str]
    devices: dict[str, str]
    limit_s: float
    results: Path

    def follow(self, command: list[str], environment: dict[str, str], split: Split,
               judge: Judge) -> Iterator[tuple[str, Outcome]]:
        """Runs one COMMAND for all tests: SPLIT its output into names and texts, JUDGE each.
        Ends with the first test that exceeds the limit, because what it leaves is unknown."""
        child = subprocess.Popen(command, cwd=self.source, env=environment,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        assert child.stdout is not None
        output, told, since = "", 0, time.monotonic()
        with open(self.results / "suite-output", "w", encoding="utf-8") as copy:
            while True:
                ready = select.select([child.stdout], [], [], 1.0)[0]
                data = os.read(child.stdout.fileno(), 65536) if ready else b""
                copy.write(text := data.decode(errors="replace"))
                copy.flush()
                output += text
                found = split(output)
                ended = bool(ready) and not data
                for name, piece in found[told:len(found) - (not ended)]:
                    yield name, judge(name, piece)
                    told, since = told + 1, time.monotonic()
                if found[told:] and text:
                    yield found[-1][0], Outcome(STARTED)
                if ended:
                    break
                if time.monotonic() - since > self.limit_s:
                    if found[told:]:
                        yield found[-1][0], Outcome(TIMEOUT, f"no end after {self.limit_s:.0f} s")
                    os.killpg(child.pid, signal.SIGKILL)
                    return
        child.wait()

    def each(self, command: Callable[[str], list[str]], environment: dict[str, str],
             judge: Callable[[str, int, str], Outcome]) -> Iterator[tuple[str, Outcome]]:
        """Runs a COMMAND for each test, and lets JUDGE see its exit code and output."""
        for name in self.tests:
            yield name, Outcome(STARTED)
            begin = time.monotonic()
            log = self.results / f"{name.replace('/', '-')}.log"
            with open(log, "wb") as sink:
                child = subprocess.Popen(command(name), cwd=self.source, env=environment,
                                         stdin=subprocess.DEVNULL, stdout=sink,
                                         stderr=subprocess.STDOUT, start_new_session=True)
                try:
                    code = child.wait(self.limit_s)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    yield name, Outcome(TIMEOUT, f"no end after {self.limit_s:.0f} s")
                    return
            outcome = judge(name, code, log.read_text(errors="replace"))
            yield name, Outcome(outcome.state, outcome.why, round(time.monotonic() - begin, 1))
