# SPDX-License-Identifier: GPL-2.0-or-later
"""What a set with many remaps costs before its first I/O: time to activate, and memory.

On the instruction clock, from disks that answer at once: the time is that of the code. Memory is
what the kernel has less of while the set is active. Caller: run.py.
"""

import statistics
from collections.abc import Callable
from typing import Any

from tests.bench.guest import KEEPS, add_null_blk, dmsetup
from tests.bench.stacks import DISK_MIB, SECTORS, SPARE_SECTORS, SPARE_START, Stacks
from tests.harness.qemu import Machine

REMAPS = 1_000_000
REPEATS = 3
SMALL_MIB = 64
SETTLE = "sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1"
# With what the CPU keeps at hand.
FREE_PAGES = "{ grep MemFree /proc/meminfo; cat /proc/zoneinfo; } | " \
             "awk '/MemFree/ { n += $2 } / count:/ { n += 4 * $2 } END { print n }'"


def available_kib(vm: Machine) -> int:
    """What is used for nothing, caches aside."""
    return int(vm.text(f"{SETTLE}; {FREE_PAGES}"))


def activate(vm: Machine, table: str) -> tuple[float, int, int]:
    """Seconds, bytes that are used afterwards, and slots of a set, which is removed again."""
    before = available_kib(vm)
    took = vm.text("began=$(date +%s%N); DM_DISABLE_UDEV=1 dmsetup create remap --table "
                   f"'{table}' && echo $(($(date +%s%N) - began))")
    used = (before - available_kib(vm)) * 1024
    slots = dmsetup(vm, "status remap").split()[4].split("/")[1]
    dmsetup(vm, "remove remap")
    return int(took) / 1e9, used, int(slots)


def measure(vm: Machine, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds, and bytes: of a slot, and of what a set has whatever its size, bitmap of main
    aside.  So the large set is compared with a small one."""
    del quick
    stacks = Stacks(vm)
    say(f"activation with {REMAPS} remaps")
    stacks.fill(REMAPS)
    large = f"0 {SECTORS} remap {stacks.main} {stacks.spare} {SPARE_START} {SPARE_SECTORS}"
    disks = [add_null_blk(vm, name, SMALL_MIB, KEEPS) for name in ("nullb5", "nullb6")]
    small = f"0 {SMALL_MIB * 2048} remap {' '.join(disks)} 0 {SMALL_MIB * 2048}"
    runs = {which: [activate(vm, table) for _ in range(REPEATS)]
            for which, table in (("small", small), ("large", large))}
    used = {which: statistics.median(run[1] for run in found) for which, found in runs.items()}
    slots = {which: found[0][2] for which, found in runs.items()}
    bitmap = DISK_MIB * (1 << 20) // (128 << 10) // 8
    a_slot = (used["large"] - bitmap - used["small"]) / (slots["large"] - slots["small"])
    return {"activation_s": round(min(run[0] for run in runs["large"]), 3),
            "bytes_per_slot": round(a_slot, 2),
            "bytes_per_set": round(used["small"] - a_slot * slots["small"]),
            "activation": {"remaps": REMAPS, "slots": slots["large"], "runs": runs,
                           "bitmap_bytes": bitmap}}
