# SPDX-License-Identifier: GPL-2.0-or-later
"""Days in seconds: programs whose clocks are ahead, by as much as the test says (timelapse.c).

Callers: test_timelapse.py.
"""

import struct
import subprocess
import time
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class Clock:
    """The clock of the programs that are started by WRAP, or with ENVIRONMENT."""

    def __init__(self, directory: Path) -> None:
        library, self._ahead = directory / "timelapse.so", directory / "ahead"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self._ahead.write_bytes(struct.pack("q", 0))
        self.environment = {"LD_PRELOAD": str(library), "TIMELAPSE": str(self._ahead)}
        self.wrap = ("/usr/bin/env", *(f"{key}={value}" for key, value in self.environment.items()))

    def advance(self, seconds: float) -> None:
        with self._ahead.open("r+b") as file:
            ahead, = struct.unpack("q", file.read())
            file.seek(0)
            file.write(struct.pack("q", ahead + round(seconds)))

    def now(self) -> float:
        return time.time() + float(struct.unpack("q", self._ahead.read_bytes())[0])
