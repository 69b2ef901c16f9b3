# SPDX-License-Identifier: GPL-2.0-or-later
"""fio with verification: on dm-linear over a good disk, and on dm-remap over a disk that dies.

The disks are those of the block server, in the guest. Sectors of main fail before a job, and while
it runs. What fio wrote is verified twice: by the job, and after the set was activated again. A job
that had nothing relocated has failed.
"""

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness.blockd import BlockServer
from tests.peers import stacks
from tests.peers.batch import Batch
from tests.peers.outcomes import FAILED, PASSED, STARTED, Outcome
from tests.scenarios import dm

VARIANTS = ("verify",)
MAIN_BYTES, SPARE_BYTES = 64 << 20, 16 << 20
BAD_BEFORE, BAD_EACH_TIME, PAUSE_S = 600, 10, 0.5
ENOUGH = 50                 # relocations of a job, at least
COMMON = ("--name=job --filename={} --direct=1 --thread --verify=crc32c --verify_fatal=1 "
          "--randseed=7 --size=48m --verify_dump=0")
# What a job reads only after it wrote it may have become unreadable.
JOBS = {
    "randwrite-4k": "--rw=randwrite --bs=4k --ioengine=libaio --iodepth=16",
    "randwrite-512": "--rw=randwrite --bs=512 --size=6m --ioengine=libaio --iodepth=32",
    "randwrite-64k": "--rw=randwrite --bs=64k --ioengine=libaio --iodepth=8",
    "write-1m": "--rw=write --bs=1m --ioengine=libaio --iodepth=4",
    "write-20k": "--rw=write --bs=20k --ioengine=psync",
    "randwrite-fsync": "--rw=randwrite --bs=8k --ioengine=psync --fsync=4 --size=8m",
    "randwrite-dsync": "--rw=randwrite --bs=4k --ioengine=psync --sync=dsync --size=4m",
    "randwrite-uring": "--rw=randwrite --bs=4k --ioengine=io_uring --iodepth=16",
    "backlog": "--rw=randwrite --bs=4k --ioengine=libaio --iodepth=16 --verify_backlog=256",
    "sizes": "--rw=randwrite --bsrange=512-128k --bs_unaligned=0 --ioengine=libaio --iodepth=16",
    "four-writers": "--rw=randwrite --bs=4k --ioengine=libaio --iodepth=8 --numjobs=4 --size=12m "
                    "--offset_increment=12m",
}
# Only jobs with blocks of one size can be verified by another process.
NOT_AGAIN = ("sizes", "backlog")


def disks(_variant: str) -> dict[str, int]:
    return {}    # not those of the host


def missing(_source: Path) -> str | None:
    return None if Path("/usr/bin/fio").exists() else "fio is not installed: apt-get install fio"


def tests(_source: Path, _variant: str, words: list[str]) -> list[str]:
    return [name for name in JOBS if "all" in words or name in words]


class Dying:
    """Sectors of a disk fail, in chunks spread over it, until this ends."""

    def __init__(self, server: BlockServer, seed: str) -> None:
        self.disk, self.rng = server.disk("main"), random.Random(seed)
        self.stop = threading.Event()
        self.fail(BAD_BEFORE)
        self.thread = threading.Thread(target=self._go_on)

    def fail(self, count: int) -> None:
        last = MAIN_BYTES // 512 - 1024    # dm-remap's own chunk is behind it
        for _ in range(count):
            self.disk.bad(self.rng.randrange(last), self.rng.choice((1, 1, 2, 8)),
                          self.rng.choice(("write", "both")))

    def _go_on(self) -> None:
        while not self.stop.wait(PAUSE_S):
            # what was written there stays readable: fio is right to expect it
            last = MAIN_BYTES // 512 - 1024
            for _ in range(BAD_EACH_TIME):
                self.disk.bad(self.rng.randrange(last), 1, "write")

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def _fio(path: str, job: str, log: Path, limit_s: float, *more: str) -> str | None:
    """What went wrong, or nothing."""
    with open(log, "ab") as sink:
        try:
            code = subprocess.run(["fio", *COMMON.format(path).split(), *JOBS[job].split(), *more],
                                  cwd="/tmp", stdin=subprocess.DEVNULL, stdout=sink,
                                  stderr=subprocess.STDOUT, timeout=limit_s).returncode
        except subprocess.TimeoutExpired:
            return f"no end after {limit_s:.0f} s"
    return f"fio ended with {code}" if code else None


def _judge(batch: Batch, job: str, server: BlockServer) -> Outcome:
    main, spare = (str(disk.kernel_path) for disk in server.disks())
    log = batch.results / f"{job}.log"
    path = stacks.attach("fio", batch.stack, main, spare, remaps=False)
    try:
        if batch.stack == stacks.REMAP:
            with Dying(server, job):
                wrong = _fio(path, job, log, batch.limit_s)
        else:
            wrong = _fio(path, job, log, batch.limit_s)
        if not wrong and job not in NOT_AGAIN:
            dm.remove("fio")
            stacks.attach("fio", batch.stack, main, spare, remaps=False)
            wrong = _fio(path, job, log, batch.limit_s, "--verify_only=1")
            wrong = wrong and f"after a new activation: {wrong}"
        if not wrong and batch.stack == stacks.REMAP:
            told = stacks.facts("fio")
            if told["mode"] != "rw" or int(told["used"]) < ENOUGH:
                wrong = f"the set afterwards: {told}"
    finally:
        dm.remove("fio")
    return Outcome(FAILED if wrong else PASSED, wrong or "")


def run(batch: Batch) -> Iterator[tuple[str, Outcome]]:
    """In the guest."""
    os.chdir("/tmp")
    for job in batch.tests:
        yield job, Outcome(STARTED)
        begin = time.monotonic()
        disks_ = {"main": (MAIN_BYTES, "vcache=on"), "spare": (SPARE_BYTES, "vcache=on")}
        with BlockServer(Path("/tmp", job), disks_, kernel=True, log=False) as server:
            outcome = _judge(batch, job, server)
        yield job, Outcome(outcome.state, outcome.why, round(time.monotonic() - begin, 1))
