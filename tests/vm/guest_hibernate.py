# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: hibernate it and restore it from its image, without a boot in between.

    guest_hibernate.py MARKS PID...

The image is kept in this program's memory, as a user space that hibernates by itself would
keep it on a disk. What happens after it was made is forgotten by the restored kernel, as if
another system had done it; the processes PID do nothing in that time. MARKS is a disk for
telling the host how far it is: a sector is written when the image is made, another one
before it is restored, and after each of them the host has a while to do something.
"""

import fcntl
import mmap
import os
import signal
import sys
import time

FREEZE, ATOMIC_RESTORE, CREATE_IMAGE = 0x3301, 0x3304, 0x40043311
WHILE_SECONDS = 3


def mark(disk: int, sector: int) -> None:
    os.pwrite(disk, mmap.mmap(-1, 512), 512 * sector)
    time.sleep(WHILE_SECONDS)


def main(marks: str, *pids: str) -> int:
    disk = os.open(marks, os.O_WRONLY | os.O_DIRECT)
    snapshot = os.open("/dev/snapshot", os.O_RDONLY)
    fcntl.ioctl(snapshot, FREEZE, 0)
    made = bytearray(4)
    fcntl.ioctl(snapshot, CREATE_IMAGE, made)
    if not any(made):    # this is the restored kernel
        os.close(snapshot)
        return 0
    mark(disk, 0)
    image = []
    while page := os.read(snapshot, mmap.PAGESIZE):
        image.append(page)
    for pid in pids:
        os.kill(int(pid), signal.SIGSTOP)
    os.close(snapshot)
    mark(disk, 1)
    snapshot = os.open("/dev/snapshot", os.O_WRONLY)
    for page in image:
        os.write(snapshot, page)
    fcntl.ioctl(snapshot, FREEZE, 0)
    fcntl.ioctl(snapshot, ATOMIC_RESTORE, 0)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
