# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory that goes to swap and comes back.

    swapper.py MIB SEED

Fills MIB of memory, has the kernel page it out, reads it back and compares, again and again until
SIGTERM; then prints the number of rounds. Started by life.py, in the guest; exit code 1: something
else came back. The machine itself is not short of memory: the block server is a process of it, and
would wait for itself.
"""

import mmap
import random
import signal
import sys

PAGE = 4096
MADV_PAGEOUT = 21


def main(mib: int, seed: int) -> int:
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    dice = random.Random(seed)
    size = mib << 20
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    print("begins", flush=True)
    rounds = 0
    while not stop:
        pages = [dice.randbytes(32) * (PAGE // 32) for _ in range(size // PAGE)]
        for number, page in enumerate(pages):
            memory[number * PAGE:(number + 1) * PAGE] = page
        memory.madvise(MADV_PAGEOUT)
        for number, page in enumerate(pages):
            if memory[number * PAGE:(number + 1) * PAGE] != page:
                print(f"round {rounds}: page {number} came back as another one", flush=True)
                return 1
        rounds += 1
    print(rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
