# SPDX-License-Identifier: GPL-2.0-or-later
"""What a set with many remaps costs before its first I/O: time to activate, and memory.

On the instruction clock, from disks that answer at once: the time is that of the code. Memory is
what the kernel has less of while the set is active. Caller: run.py.
"""

import statistics
from collections.abc import Callable
from typing import Any

from tests.bench.guest import dmsetup
from tests.bench.stacks import DISK_MIB, SECTORS, SPARE_SECTORS, SPARE_START, Stacks
from tests.harness.qemu import Machine

REMAPS = 1_000_000
REPEATS = 3
SETTLE = "sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1"


def available_kib(vm: Machine) -> int:
    """What is used for nothing, caches aside."""
    return int(vm.text(f"{SETTLE}; awk '/^MemFree/ {{ print $2 }}' /proc/meminfo"))


def measure(vm: Machine, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds, and bytes: of all slots, and of the bitmap of main, which does not depend on
    them."""
    del quick
    stacks = Stacks(vm)
    say(f"activation with {REMAPS} remaps")
    stacks.fill(REMAPS)
    table = f"0 {SECTORS} remap {stacks.main} {stacks.spare} {SPARE_START} {SPARE_SECTORS}"
    seconds, used = [], []
    for _ in range(REPEATS):
        before = available_kib(vm)
        took = vm.text("began=$(date +%s%N); DM_DISABLE_UDEV=1 dmsetup create remap --table "
                       f"'{table}' && echo $(($(date +%s%N) - began))")
        seconds.append(int(took) / 1e9)
        used.append((before - available_kib(vm)) * 1024)
        status = dmsetup(vm, "status remap").split()
        stacks.deactivate()
    slots = int(status[4].split("/")[1])
    bitmap = DISK_MIB * (1 << 20) // (128 << 10) // 8
    return {"activation_s": round(min(seconds), 3),
            "bytes_per_slot": round((statistics.median(used) - bitmap) / slots, 2),
            "activation": {"remaps": REMAPS, "slots": slots, "seconds": seconds,
                           "bytes": used, "bitmap_bytes": bitmap}}
