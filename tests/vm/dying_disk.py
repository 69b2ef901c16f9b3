# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk of the block server on which more and more sectors die.

Used by the tests here and by the demo.
"""

import random
import threading

from tests.harness.blockd import Disk


class DyingDisk:
    """Makes more and more sectors of a disk fail, as long as the block runs.

    MOST keeps what is written to them below the storm limit of 1024 chunks; a few more fail
    every PAUSE_S.
    """

    def __init__(self, disk: Disk, seed: int, most: int = 1000, pause_s: float = 0.02) -> None:
        self.disk, self.random, self.most = disk, random.Random(seed), most
        self.pause_s = pause_s
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.bad_places = 0

    def kill_some(self, places: int, kind: str) -> None:
        for _ in range(places):
            count = self.random.choice((1, 1, 1, 2, 8, 24))
            first = self.random.randrange(self.disk.size_bytes // 512 - count)
            self.disk.bad(first, count, kind)
            self.bad_places += 1

    def _run(self) -> None:
        while not self.stop.wait(self.pause_s) and self.bad_places < self.most:
            self.kill_some(5, "write")

    def __enter__(self) -> "DyingDisk":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
