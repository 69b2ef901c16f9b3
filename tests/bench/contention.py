# SPDX-License-Identifier: GPL-2.0-or-later
"""Two CPUs that do I/O on one device at the same time: does one hinder the other?

There is no instruction clock for two CPUs. What counts is the time for which the host's CPUs
run QEMU's threads, without that for which others have them. It still differs from turn to turn:
the stacks take turns of a second each, many of them; a figure is the median, over the turns, of
a stack's time for an I/O against dm-linear's in the same turn, with the least and the most. Each
is measured with one CPU and with both: what grows with the second one is contention.

Caller: run.py.
"""

import json
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.stacks import Stacks, offsets
from tests.harness.qemu import Machine

TURNS, QUICK_TURNS = 9, 3
SECONDS = 1
REMAPS = 100_000
STACKS = ("dm-linear", "floor", "remap")
ONE_COMMAND_S = 600


def host_ns(vm: Machine) -> int:
    """For how long QEMU's threads have run."""
    tasks = Path(f"/proc/{vm.process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def time_of(vm: Machine, path: str, op: str, cpus: int) -> float:
    """The host's time for an I/O while each of so many CPUs does them."""
    before = host_ns(vm)
    jobs = [vm.start(f"exec taskset -c {n} /run/latency {path} {op} 4096 {SECONDS} "
                     f"</run/offsets{n}") for n in range(cpus)]
    ios = sum(json.loads(job.wait(ONE_COMMAND_S).check().out)["ios"] for job in jobs)
    return (host_ns(vm) - before) / ios


def measure(vm: Machine, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    stacks, order = Stacks(vm), random.Random(2)
    stacks.fill(REMAPS)
    stacks.activate(REMAPS)
    turns, rows = QUICK_TURNS if quick else TURNS, []
    for kind in ("clean", "miss", "hit"):
        places = offsets(REMAPS, kind, 4096, sequential=False)
        for n in range(2):
            vm.put("\n".join(map(str, places[n::2])).encode(), f"/run/offsets{n}")
        for op in ("write", "read"):
            say(f"two CPUs: {op}, {kind}")
            ratios: dict[tuple[str, int], list[float]] = {}
            for _ in range(turns):
                for cpus in (1, 2):
                    times = {name: time_of(vm, stacks.paths[name], op, cpus)
                             for name in order.sample(STACKS, len(STACKS))}
                    for name in STACKS:
                        ratios.setdefault((name, cpus), []).append(
                            times[name] / times["dm-linear"])
            rows += [{"stack": name, "op": op, "kind": kind, "cpus": cpus,
                      "ratio_to_linear": round(statistics.median(found), 3),
                      "least": round(min(found), 3), "most": round(max(found), 3)}
                     for (name, cpus), found in ratios.items()]
    stacks.deactivate()
    return {"remaps": REMAPS, "turns": turns, "rows": rows}
