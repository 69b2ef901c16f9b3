# SPDX-License-Identifier: GPL-2.0-or-later
"""Good I/O beside sectors that die slowly: on remap, and on dm-linear on the same disk.

The disk is the target `dying` (targets/dm-dying.c) in a guest on the instruction clock, which
leaps over the time that a disk needs: an hour of a dying disk takes seconds. The disk does one
command at a time, so what a bad command takes, all others wait for; what remap adds or saves is
the difference to dm-linear. The same load runs on either:

- up to eight processes write the bad sectors, one after the other, again and again;
- one process reads and one writes good sectors of this disk, and one reads a second set,
  whose disk is healthy;
- in the midst of it the status is asked for, and sector and set are looked at; at last the
  device is suspended and resumed.

Caller: run.py.
"""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.bench.guest import COMMAND_TIMEOUT_S, KEEPS, add_null_blk, dmsetup
from tests.harness.qemu import Machine

DISK_MIB, SPARE_MIB = 4096, 256
SECTORS, SPARE_SECTORS = DISK_MIB * 2048, SPARE_MIB * 2048
SERVICE_US = 8000               # of a good command
PAUSE_MS = "8"                  # of who writes bad sectors: on the spare they take no time at all
BAD_STRIDE = 2048               # sectors; the bad ones are in the first half
CHUNK = 4096
MOST_WRITERS = 8
COUNTS, QUICK_COUNTS = (1, 10, 100, 1000), (1, 10)
SECONDS, QUICK_SECONDS = (1, 7, 31), (7,)
STACKS = ("dm-linear", "remap")

# $1: device, $2: seconds until it begins, $3: a sector, if it is a set. Prints JSON, in seconds.
COMMANDS = """
now() { date +%s%N; }
took() { began=$(now); "$@" >/dev/null || exit; echo "$(($(now) - began))"; }
sleep $2
echo "status $(took dmsetup status $1)"
if [ -n "$3" ]; then
    echo "verify $(took dmsetup message $1 0 verify $3)"
    echo "metadata_status $(took dmsetup message $1 0 metadata_status)"
    echo "sysfs $(took cat /sys/block/$(dmsetup info -c --noheadings -o blkdevname $1)/remap/mode)"
fi
sleep $2
echo "suspend $(took dmsetup suspend $1)"
echo "resume $(took dmsetup resume $1)"
"""


class Disks:
    """A disk that dies and one that does not, and the spares."""

    def __init__(self, vm: Machine) -> None:
        self.vm = vm
        self.media = [add_null_blk(vm, f"nullb{n}", DISK_MIB, KEEPS) for n in (10, 11)]
        self.spares = [add_null_blk(vm, f"nullb{n}", SPARE_MIB, KEEPS) for n in (12, 13)]
        vm.put(COMMANDS.encode(), "/run/commands")

    def set_up(self, stack: str, count: int, bad_s: float) -> None:
        """/dev/mapper/first is on a dying disk, and second on another one."""
        for name, media, spare, bad in (("first", self.media[0], self.spares[0], count),
                                        ("second", self.media[1], self.spares[1], 0)):
            self.vm.run(f"blkdiscard {spare}; blkdiscard {media}")
            dmsetup(self.vm, f"create disk-{name} --table '0 {SECTORS} dying {media} "
                             f"{SERVICE_US} {BAD_STRIDE} {BAD_STRIDE} {bad} "
                             f"{int(bad_s * 1000)}'")
            dmsetup(self.vm, f"create {name} --table '0 {SECTORS} " + (
                f"linear /dev/mapper/disk-{name} 0'" if stack == "dm-linear" else
                f"remap /dev/mapper/disk-{name} {spare} 0 {SPARE_SECTORS}'"))

    def tear_down(self) -> None:
        for name in ("first", "second"):
            dmsetup(self.vm, f"remove {name}")
            dmsetup(self.vm, f"remove disk-{name}")


def good_places(seed: int) -> bytes:
    order = random.Random(seed)
    half = SECTORS * 512 // CHUNK // 2
    return "\n".join(str((half + n) * CHUNK) for n in order.sample(range(half - 64), 1000)).encode()


def measure_cell(disks: Disks, stack: str, count: int, bad_s: float) -> dict[str, Any]:
    """What the processes saw, by what they did."""
    vm, duration = disks.vm, max(120.0, 20 * bad_s)
    disks.set_up(stack, count, bad_s)
    jobs = {}

    def start(name: str, device: str, op: str, places: bytes, pause: str = "") -> None:
        vm.put(places, f"/run/places-{name}")
        jobs[name] = vm.start(f"exec /run/latency /dev/mapper/{device} {op} {CHUNK} "
                              f"{duration} {pause} </run/places-{name}")

    bad = [BAD_STRIDE * (1 + n) * 512 // CHUNK * CHUNK for n in range(count)]
    writers = min(count, MOST_WRITERS)
    start("read", "first", "read", good_places(1))
    start("write", "first", "write", good_places(2))
    start("second_set", "second", "read", good_places(3))
    for n in range(writers):
        start(f"bad_{n}", "first", "write", "\n".join(map(str, bad[n::writers])).encode(),
              PAUSE_MS)
    sector = BAD_STRIDE if stack == "remap" else ""
    commands = vm.start(f"sh /run/commands first {duration / 2 - bad_s} {sector}")
    found = {name: json.loads(job.wait(COMMAND_TIMEOUT_S).check().out)
             for name, job in jobs.items()}
    took = commands.wait(COMMAND_TIMEOUT_S).check().out.splitlines()
    figures = {name: figures_of(found[name]) for name in ("read", "write", "second_set")}
    bad_found = [found[f"bad_{n}"] for n in range(writers)]
    last = [one["all_good_s"] for one in bad_found]
    status = dmsetup(vm, "status first").split()
    result: dict[str, Any] = {
        "stack": stack, "sectors": count, "command_s": bad_s, "duration_s": duration, **figures,
        "bad": {"ios": sum(one["ios"] for one in bad_found),
                "errors": sum(one["errors"] for one in bad_found),
                "written": sum(one["good_places"] for one in bad_found),
                "max_ms": max(one["max_ms"] for one in bad_found),
                "all_written_s": None if None in last else max(last)},
        "commands_ms": {line.split()[0]: round(int(line.split()[1]) / 1e6, 1) for line in took}}
    if stack == "remap":
        result["remapped"] = int(status[4].split("/")[0]) - 1
    disks.tear_down()
    return result


def figures_of(one: dict[str, Any]) -> dict[str, float]:
    return {"ios_per_s": round(one["ios"] / one["seconds"], 2), "errors": one["errors"],
            "p50_ms": one["p50_ms"], "p999_ms": one["p999_ms"], "max_ms": one["max_ms"]}


def measure(vm: Machine, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    # Who waits for a disk that needs half a minute for each of a thousand commands waits long.
    vm.run("sysctl -q kernel.hung_task_timeout_secs=0")
    disks, cells = Disks(vm), []
    for bad_s in QUICK_SECONDS if quick else SECONDS:
        for count in QUICK_COUNTS if quick else COUNTS:
            for stack in STACKS:
                say(f"{stack}, {count} sectors at {bad_s} s a command")
                cells.append(measure_cell(disks, stack, count, bad_s))
    return {"service_ms": SERVICE_US / 1000, "cells": cells}
