# SPDX-License-Identifier: GPL-2.0-or-later
"""What an I/O costs, in guest instructions: `make bench`.

Owns build/bench.json and the table on the terminal. A guest with one CPU runs on QEMU's
instruction clock, so its time stamp counter counts instructions; a loop in C (loop.c)
does direct I/O at random places of null_blk disks, by itself and through dm-linear, an
empty target (floor/) and remap. System call and loop are part of all figures.

    python3 -m tests.bench.run                     all rows
    python3 -m tests.bench.run --quick             those that test_cost.py looks at

remap needs disks that keep what is written to them, and a null_blk that does costs more.
So remap and the empty target are measured on such disks, and what they need beyond
dm-linear there is added to what dm-linear needs on a plain disk. That this is right is
checked with null_blk by itself: dm-linear must cost as much more than it on either.
"""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.harness import kernels, qemu_image, qemu_snapshot
from tests.harness.qemu import Machine, MachineError, work_dir

HERE = Path(__file__).parent
PLACE = kernels.BUILD / "bench"
RESULT = kernels.BUILD / "bench.json"
BOOT_TIMEOUT_S = 600
CELL_TIMEOUT_S = 600
REPEATS, ROUNDS = 3, 3          # loops of a process each, and rounds of each loop
SPREAD, AGREE = 0.002, 0.005    # of the repeats of a figure, of two ways to it

DISK_MIB = 4096
CHUNK = 4096
HALF = DISK_MIB * (1 << 20) // CHUNK // 2      # remaps lie in the first half of main's chunks
PLACES = 1000                                  # at which I/O is done
SPARE_SECTORS = 420 * 2048                     # slots for 100,000 remaps
SPARE_START = DISK_MIB * 2048 - SPARE_SECTORS
STRIDE = {0: 0, 1000: HALF // 1000, 100000: HALF // 100000}
KINDS = {0: ["clean"], 1000: ["clean", "miss", "hit"], 100000: ["clean", "miss", "hit"]}


class BenchError(Exception):
    """There are no figures, or they cannot be trusted; the text says why."""


@dataclass
class Row:
    """Instructions per I/O; SPREAD is how far the repeats lie apart, as a part of it."""

    stack: str
    op: str
    size: int
    remaps: int
    kind: str
    insn_per_io: float
    ratio_to_linear: float
    spread: float


def chunks(remaps: int, kind: str) -> list[int]:
    """Where I/O is done: on a mapped chunk, beside one, or far from all."""
    order = random.Random(1)
    if kind == "clean":
        return order.sample(range(HALF, HALF + HALF // 2), PLACES)
    beside = 1 if kind == "miss" else 0
    return [k * STRIDE[remaps] + beside for k in order.sample(range(remaps), PLACES)]


def _make(*command: str | Path) -> None:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)
    if result.returncode:
        raise BenchError(f"{command[0]} failed:\n{result.stdout}{result.stderr}")


def build() -> tuple[Path, Path, Path]:
    """dm-remap.ko, dm-floor.ko and the loop."""
    release = qemu_image.kernel_release()
    place = PLACE / release
    kernels.mirror_sources(place)
    (place / "floor").mkdir(exist_ok=True)
    for source in (HERE / "floor").iterdir():
        target = place / "floor" / source.name
        if source.is_file() and (not target.is_file()
                                 or target.read_bytes() != source.read_bytes()):
            target.write_bytes(source.read_bytes())
    for part in ("kmod", "floor"):
        _make("make", "-C", place / part, f"KDIR=/lib/modules/{release}/build",
              "CONFIG_DEBUG_INFO_BTF_MODULES=")
    _make("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
          "-o", place / "loop", HERE / "loop.c")
    return place / "kmod" / "dm-remap.ko", place / "floor" / "dm-floor.ko", place / "loop"


@contextmanager
def counting_guest() -> Iterator[Machine]:
    """The tests' guest, booted with one CPU on the instruction clock."""
    image = qemu_image.image()
    with work_dir() as work:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.root),
                        "-F", "raw", str(work / "root.qcow2")], check=True)
        command = qemu_snapshot.arguments(image, work / "root.qcow2")
        for option, value in (("-accel", "tcg,thread=single"), ("-cpu", "max"), ("-smp", "1")):
            command[command.index(option) + 1] = value
        with Machine([*command, "-icount", "shift=0,sleep=off"], work) as vm:
            vm.connect_agent(BOOT_TIMEOUT_S)
            vm.run("systemctl is-system-running --wait", BOOT_TIMEOUT_S, check=False)
            yield vm


class Bench:
    """A guest with all disks and stacks, and the figures so far."""

    def __init__(self, vm: Machine, quick: bool) -> None:
        self.vm, self.quick = vm, quick
        self.figures: dict[tuple[str, str, int, str], list[float]] = {}

    def set_up(self) -> None:
        module, floor, loop = build()
        self.vm.load_module(module)
        self.vm.put(floor, "/run/dm-floor.ko")
        self.vm.put(loop, "/run/loop", 0o755)
        self.vm.put(HERE / "fill_spare.py", "/run/fill_spare.py")
        self.vm.run("insmod /run/dm-floor.ko; modprobe null_blk nr_devices=0; "
                    "systemctl stop systemd-udevd systemd-udevd-control.socket "
                    "systemd-udevd-kernel.socket")
        for disk, backed in (("nullb0", 0), ("nullb1", 1), ("nullb2", 1)):
            self.vm.run(f"cd /sys/kernel/config/nullb && mkdir {disk} && cd {disk} && "
                        f"echo {DISK_MIB} >size && echo 512 >blocksize && echo 0 >queue_mode && "
                        f"echo {backed} >memory_backed && echo 1 >power")
        names = {"plain": "/dev/nullb0", "main": "/dev/nullb1", "spare": "/dev/nullb2"}
        sectors = DISK_MIB * 2048
        self.table = f"0 {sectors} remap {names['main']} {names['spare']} {SPARE_START} " \
                     f"{SPARE_SECTORS}"
        self.spare = names["spare"]
        # formatted first: the mark at the end of main is there for all that measure on main
        self.activate(0)
        self.deactivate()
        for stack, kind, disk in (("linear", "linear", "main"), ("floor", "floor", "main"),
                                  ("linear-plain", "linear", "plain")):
            tail = " 0" if kind == "linear" else ""
            self.dmsetup(f"create {stack} --table '0 {sectors} {kind} {names[disk]}{tail}'")
        self.paths = {"null_blk": names["main"], "null_blk, plain": names["plain"],
                      "dm-linear": "/dev/mapper/linear", "floor": "/dev/mapper/floor",
                      "dm-linear, plain": "/dev/mapper/linear-plain",
                      "remap": "/dev/mapper/remap"}

    def dmsetup(self, words: str) -> None:
        self.vm.run(f"DM_DISABLE_UDEV=1 dmsetup {words} || "
                    "{ dmesg | tail -5 >&2; exit 1; }", CELL_TIMEOUT_S)

    def activate(self, remaps: int) -> None:
        if remaps:
            self.vm.run(f"python3 /run/fill_spare.py {self.spare} {SPARE_START} {remaps} "
                        f"{STRIDE[remaps]}", CELL_TIMEOUT_S)
        self.dmsetup(f"create remap --table '{self.table}'")
        status = self.vm.text("dmsetup status remap").split()
        if status[3] != "rw" or status[4].split("/")[0] != str(remaps + 1):
            raise BenchError(f"the set with {remaps} remaps is: {' '.join(status)}")

    def deactivate(self) -> None:
        self.dmsetup("remove remap")

    def measure(self, stack: str, op: str, remaps: int = 0, kind: str = "clean",
                size: int = CHUNK) -> None:
        offsets = "\n".join(str(chunk * CHUNK) for chunk in chunks(remaps, kind))
        self.vm.put(offsets.encode(), "/run/offsets")
        loops = [self.vm.text(f"/run/loop {self.paths[stack]} {op} {size} {ROUNDS} "
                              "</run/offsets", CELL_TIMEOUT_S) for _ in range(REPEATS)]
        self.figures[stack, op, remaps, kind] = [float(loop) for loop in loops]

    def measure_all(self) -> None:
        for op in ("write", "read"):        # what is read has been written before
            for stack in list(self.paths)[:-1]:
                self.measure(stack, op)
        counts = [100000] if self.quick else list(KINDS)
        for remaps in [0, *counts] if self.quick else counts:
            self.activate(remaps)
            for op in ("write", "read"):
                for kind in KINDS[remaps]:
                    self.measure("remap", op, remaps, kind)
            self.deactivate()

    def _figure(self, stack: str, op: str, remaps: int = 0, kind: str = "clean") -> float:
        return min(self.figures[stack, op, remaps, kind])

    def rows(self) -> list[Row]:
        """The figures, brought down to plain disks."""
        rows = []
        for (stack, op, remaps, kind), found in self.figures.items():
            if stack.endswith(", plain"):
                continue
            linear = self._figure("dm-linear, plain", op)
            if stack == "null_blk":
                cost = self._figure("null_blk, plain", op)
                other = linear - self._figure("dm-linear", op) + self._figure("null_blk", op)
                if abs(cost - other) > AGREE * linear:
                    raise BenchError(f"null_blk, {op}: {cost:.0f} instructions on a plain disk, "
                                     f"{other:.0f} by way of one that keeps its data")
            else:
                cost = linear + self._figure(stack, op, remaps, kind) - \
                    self._figure("dm-linear", op)
            rows.append(Row(stack, op, CHUNK, remaps, kind, round(cost, 1),
                            round(cost / linear, 4),
                            round((max(found) - min(found)) / min(found), 5)))
        return rows


def run(quick: bool = False) -> list[Row]:
    """Boot, measure, and bring down to plain disks."""
    with counting_guest() as vm:
        bench = Bench(vm, quick)
        bench.set_up()
        bench.measure_all()
        if complaints := vm.complaints():
            raise BenchError("the guest's kernel complains:\n" + "\n".join(complaints))
    return bench.rows()


def show(rows: list[Row]) -> None:
    print(f"{'stack':10}{'op':7}{'remaps':>8}  {'kind':7}{'insn/io':>9}{'x linear':>10}"
          f"{'spread':>9}")
    for row in rows:
        print(f"{row.stack:10}{row.op:7}{row.remaps:8}  {row.kind:7}{row.insn_per_io:9.0f}"
              f"{row.ratio_to_linear:10.3f}{row.spread:9.2%}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.run")
    parser.add_argument("--quick", action="store_true", help="only 0 and 100,000 remaps")
    options = parser.parse_args()
    try:
        rows = run(options.quick)
    except (BenchError, MachineError, kernels.BuildError, qemu_image.ImageError) as error:
        print(error, file=sys.stderr)
        return 1
    RESULT.write_text(json.dumps({"rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    show(rows)
    if apart := [row for row in rows if row.spread > SPREAD]:
        print(f"repeats of {len(apart)} rows lie more than {SPREAD:.1%} apart", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
