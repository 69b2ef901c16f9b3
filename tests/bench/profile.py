# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the instructions of an I/O go: those of remap beside those of dm-linear, by function.

QEMU writes down the address of each instruction for a while, in which loop.c does nothing but
I/O. Each address of the kernel is counted for the function it belongs to, and each of the module
for the source line, with the functions that the compiler has put together there. Owns the
reading of that log. Caller: run.py.
"""

import bisect
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.guest import PLACE, BenchError
from tests.bench.stacks import Stacks, offsets
from tests.harness import qemu_image
from tests.harness.qemu import Machine

REMAPS = 1_000_000
LOG_BYTES = 150 << 20           # of one look: some hundred I/Os
LOOK_S = 300
LEAST_IOS = 100
SHOWN = 0.5                     # instructions of an I/O; less is told in one sum
KINDS = ("clean", "miss", "hit")
# Instructions of one I/O are counted from one call of these to the next.
ENTRY = {"dm-linear": "linear_map", "floor": "floor_map", "remap": "remap_map"}
EXECUTED = re.compile(rb"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")


@dataclass(frozen=True)
class Symbol:
    """Where a function of the kernel, or of a module, begins."""

    address: int
    name: str
    module: str


def executed(log: Iterable[bytes]) -> Iterator[int]:
    """The addresses in QEMU's log, in order."""
    for line in log:
        if found := EXECUTED.match(line):
            yield int(found[1], 16)


def count(addresses: Iterable[int], entry: int) -> tuple[Counter[int], int]:
    """How often each address of the kernel was executed between the first and the last time
    that ENTRY was, and how many I/Os that were."""
    found: Counter[int] = Counter()
    since: Counter[int] = Counter()
    ios = -1
    for address in addresses:
        if address == entry:
            if ios >= 0:
                found.update(since)
            since.clear()
            ios += 1
        if ios >= 0 and address >> 63:
            since[address] += 1
    return found, max(ios, 0)


class Guest:
    """A guest whose instructions can be looked at."""

    def __init__(self, vm: Machine) -> None:
        self.vm = vm
        self.symbols = sorted((Symbol(int(address, 16), name, module.strip("[]") or "kernel")
                               for address, kind, name, module in (
                                   [*line.split(), ""][:4] for line in
                                   vm.text("cat /proc/kallsyms").splitlines())
                               if kind in "tTwW"), key=lambda symbol: symbol.address)
        self.starts = [symbol.address for symbol in self.symbols]
        self.text = int(vm.text("cat /sys/module/dm_remap/sections/.text"), 16)
        self.module = PLACE / qemu_image.kernel_release() / "kmod" / "dm-remap.ko"

    def symbol_at(self, address: int) -> Symbol:
        return self.symbols[max(bisect.bisect_right(self.starts, address) - 1, 0)]

    def _monitor(self, line: str) -> None:
        if answer := self.vm.qmp.execute("human-monitor-command", command_line=line):
            raise BenchError(f"QEMU's monitor, {line}: {answer}")

    def look(self, path: str, op: str, entry: str, log: Path) -> tuple[Counter[int], int]:
        """The addresses executed while I/O is done on the device PATH, and how many I/Os."""
        address = next(symbol.address for symbol in self.symbols if symbol.name == entry)
        loop = self.vm.start(f"exec /run/loop {path} {op} 4096 1000000 </run/offsets")
        self.vm.run("sleep 0.1")
        try:
            self._monitor(f"logfile {log}")
            self._monitor("singlestep on")
            self._monitor("log exec,nochain")
            end = time.monotonic() + LOOK_S
            while not log.exists() or log.stat().st_size < LOG_BYTES:
                if time.monotonic() > end or loop.done:
                    raise BenchError(f"too few instructions of {path} in {log}")
                time.sleep(0.1)
        finally:
            self._monitor("log none")
            self._monitor("singlestep off")
            loop.kill()
        with log.open("rb") as lines:
            found, ios = count(executed(lines), address)
        log.unlink()
        if ios < LEAST_IOS:
            raise BenchError(f"{ios} I/Os of {path} are too few")
        return found, ios

    def by_function(self, found: Counter[int], ios: int) -> dict[str, float]:
        """Instructions of an I/O, by function, with the module's name."""
        sums: Counter[str] = Counter()
        for address, times in found.items():
            symbol = self.symbol_at(address)
            sums[f"{symbol.module}: {symbol.name}"] += times
        return {name: times / ios for name, times in sums.items()}

    def by_line(self, found: Counter[int], ios: int) -> dict[str, float]:
        """Of the module's instructions: the function that was put in place, and its line."""
        ours = {address: times for address, times in found.items()
                if self.symbol_at(address).module == "dm_remap"}
        text = "\n".join(f"{address - self.text:#x}" for address in ours)
        out = subprocess.run(["addr2line", "-j", ".text", "-e", str(self.module), "-f", "-s"],
                             input=text, capture_output=True, text=True, check=True).stdout
        words = out.splitlines()
        sums: Counter[str] = Counter()
        for name, line, times in zip(words[::2], words[1::2], ours.values(), strict=True):
            sums[f"{name} {line.split(' ')[0]}"] += times
        return {name: times / ios for name, times in sums.items()}


def above(found: dict[str, float], base: dict[str, float]) -> dict[str, float]:
    """What one needs more, or less, than the other in each function, the most first."""
    differences = {name: found.get(name, 0) - base.get(name, 0) for name in {*found, *base}}
    shown = {name: round(by, 1) for name, by in differences.items() if abs(by) >= SHOWN}
    rest = sum(by for by in differences.values() if abs(by) < SHOWN)
    return dict(sorted(shown.items(), key=lambda item: -abs(item[1]))) | {"rest": round(rest, 1)}


def measure(vm: Machine, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """For each kind of I/O: what remap needs beyond dm-linear, and beyond the empty target, by
    function; and its own instructions by line."""
    stacks = Stacks(vm)
    stacks.fill(REMAPS)
    stacks.activate(REMAPS)
    guest, log = Guest(vm), vm.work / "executed"
    profile = []
    for kind in KINDS[:1] if quick else KINDS:
        vm.put("\n".join(map(str, offsets(REMAPS, kind, 4096, False))).encode(), "/run/offsets")
        for op in ("write", "read"):
            say(f"profile: {op}, {kind}")
            looks = {stack: guest.look(stacks.paths[stack], op, entry, log)
                     for stack, entry in ENTRY.items()}
            functions = {stack: guest.by_function(*look) for stack, look in looks.items()}
            profile.append({
                "op": op, "kind": kind,
                "insn_per_io": {stack: round(sum(each.values()), 1)
                                for stack, each in functions.items()},
                "above_linear": above(functions["remap"], functions["dm-linear"]),
                "above_floor": above(functions["remap"], functions["floor"]),
                "lines": dict(sorted(((line, round(by, 2)) for line, by in
                                      guest.by_line(*looks["remap"]).items() if by >= 0.1),
                                     key=lambda item: -item[1]))})
    stacks.deactivate()
    return {"remaps": REMAPS, "looks": profile}
