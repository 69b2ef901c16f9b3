# SPDX-License-Identifier: GPL-2.0-or-later
"""What writing through main's cache costs, on disks as they are emulated here.

    python3 -m tests.harness.uml tests/bench/write_cache.py

The disk does one command at a time. A write into its cache is answered at once; a flush, a
write with FUA, and every write where the cache is off take a turn of the platters. What
the host and User Mode Linux need is in the figures too, so they are compared with the bare
disk and dm-linear in the same run. Prints a table of milliseconds a write (lower is better).
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.scenarios.lib import Device, Rig, pattern, rig_of  # noqa: E402

TURN_MS = 8
REPEATS = 3
DISKS = {"with FUA": "serial=on,vcache=on", "without FUA": "serial=on,vcache=on,fua=off",
         "cache off": "serial=on,vcache=off,fua=off"}


def sequential(device: Device) -> int:
    """64 KiB writes one after the other, then fsync."""
    data = pattern(1, 128)
    for n in range(48):
        device.pwrite(4096 + 128 * n, data)
    device.fsync()
    return 48


def random_one(device: Device) -> int:
    """4 KiB writes in no order, one at a time, then fsync."""
    data = pattern(2, 8)
    for n in range(64):
        device.pwrite(8 * (n * 7919 % 8000), data)
    device.fsync()
    return 64


def random_many(rig: Rig, device: Device) -> int:
    """The same, sixteen at a time."""
    data = pattern(3, 8)
    jobs = [rig.background(lambda lane=lane: [
        device.pwrite(8 * ((16 * n + lane) * 7919 % 8000), data) for n in range(16)])
        for lane in range(16)]
    for job in jobs:
        job.result(timeout=120)
    device.fsync()
    return 256


def journal(rig: Rig, device: Device) -> float:
    """ext4: a file of 4 KiB made and fsynced, again and again: a commit each."""
    subprocess.run(["mkfs.ext4", "-q", "-F", device.path], check=True)
    place = rig.mount(device, "ext4")
    began = time.monotonic()
    for n in range(24):
        with open(place / f"f{n}", "wb", buffering=0) as file:
            file.write(pattern(n, 8))
            os.fsync(file.fileno())
    seconds = time.monotonic() - began
    rig.umount(place)
    return seconds * 1000 / 24


def measure(run: Callable[[], int]) -> float:
    began = time.monotonic()
    count = run()
    return (time.monotonic() - began) * 1000 / count


def stack(rig: Rig, name: str) -> Device:
    if name == "linear":
        return rig.create("l0", f"0 131072 linear {rig.main.kernel_path} 0")
    return rig.create("r0", rig.table(more=f"2 write_cache {name}"))


def cell(options: str, name: str) -> list[float]:
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    disks: dict[str, int | tuple[int, str]] = {"main": (64 << 20, options),
                                               "spare": (8 << 20, "vcache=on")}
    try:
        with rig_of(directory, disks) as rig:
            off = "vcache=off" in options
            if off:
                Path("/sys/block/nbd0/queue/write_cache").write_text("write through")
                rig.main.delay("write", TURN_MS)
            else:
                rig.main.delay("flush", TURN_MS)
                rig.main.delay("fua", TURN_MS)
            device = stack(rig, name)
            return [measure(lambda: sequential(device)), measure(lambda: random_one(device)),
                    measure(lambda: random_many(rig, device)), journal(rig, device)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> None:
    print("| disk | | sequential 64 KiB | random 4 KiB | 16 at a time | fsync of a new file |")
    print("| --- | --- | --- | --- | --- | --- |")
    for disk, options in DISKS.items():
        for name in ("linear", "keep", "through"):
            if name == "keep" and "vcache=off" in options:
                continue
            runs = [cell(options, name) for _ in range(REPEATS)]
            medians = [statistics.median(figures) for figures in zip(*runs, strict=True)]
            title = "dm-linear" if name == "linear" else f"remap, `{name}`"
            print(f"| {disk} | {title} | " + " | ".join(f"{ms:.1f}" for ms in medians) + " |",
                  flush=True)


if __name__ == "__main__":
    main()
