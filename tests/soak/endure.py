# SPDX-License-Identifier: GPL-2.0-or-later
"""Lives of sets, one after the other, until the time is over; run.py starts it in the guest.

    endure.py SEED FIRST LIVES MINUTES SESSIONS

Begins with life FIRST and ends after LIVES of them or MINUTES (0: no such limit). Afterwards the
kernel has no more objects in use than after the first lives. What it did is in RESULTS/done.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.harness import kernel_log  # noqa: E402
from tests.scenarios import lib  # noqa: E402
from tests.soak import hung, life, plan  # noqa: E402

WARM = 2            # lives after which caches are as large as they get
HANGS_S = 900.0    # without an end of a life: it tells where it stands
# Objects that one leak in each operation makes many of, and other kinds' fluctuation does not.
GROWTH = 3000


def objects() -> dict[str, int]:
    """Objects in use, by cache."""
    lines = Path("/proc/slabinfo").read_text().splitlines()[2:]
    return {line.split()[0]: int(line.split()[1]) for line in lines}


def settle() -> None:
    Path("/proc/sys/vm/drop_caches").write_text("3")
    time.sleep(0.5)    # RCU


def grown(before: dict[str, int]) -> list[str]:
    settle()
    return [f"{name}: {before.get(name, 0)} -> {number}" for name, number in objects().items()
            if name.startswith("kmalloc") and number - before.get(name, 0) > GROWTH]


def main(seed: int, first: int, lives: int, minutes: float, sessions: int) -> int:
    begin, log = time.monotonic(), lib.KernelLog()
    done: dict[str, float] = {}
    warm: dict[str, int] = {}
    number = first
    while (not lives or number < first + lives) and \
            (not minutes or number == first or time.monotonic() < begin + 60 * minutes):
        planned = plan.life(seed, number, sessions)
        start = time.monotonic()
        watch = threading.Timer(HANGS_S, lambda: print(hung.stacks(), flush=True))
        watch.start()
        try:
            counts = life.live(planned)
        except Exception as error:
            print(f"FAILED: life {number} ({planned}): {type(error).__name__}: {error}", flush=True)
            print(f"repeat with: python3 -m tests.soak.run --seed {seed} --life {number} "
                  f"--sessions {sessions}", flush=True)
            raise
        finally:
            watch.cancel()
        if found := kernel_log.complaints("\n".join(log.lines())):
            print(f"FAILED: life {number}: the kernel complains: {found[0]}")
            return 1
        print(f"life {number}: {planned}: {counts}, {time.monotonic() - start:.0f} s", flush=True)
        for key, value in counts.items():
            done[key] = done.get(key, 0) + value
        number += 1
        if number == first + WARM:
            settle()
            warm = objects()
    if warm and (found := grown(warm)):
        print(f"FAILED: objects that are not freed: {found}")
        return 1
    done |= {"lives": number - first, "seconds": time.monotonic() - begin}
    Path(os.environ["DM_REMAP_RESULTS"], "done").write_text(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4]), float(sys.argv[4]), int(sys.argv[5])))
