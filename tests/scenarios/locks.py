# SPDX-License-Identifier: GPL-2.0-or-later
"""The locks of those who change sets (daemon/lib/system/lock.c): bytes of one file; and the
records of disks that are asked (daemon/lib/set/asking.c).

Callers: the scenarios about two commands at once, and about disks that hang.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator

LOCK, ASKING = "/run/dm-remap/lock", "/run/dm-remap/asking"
F_OFD_SETLK = 37
DEVICES, SETS = 1 << 60, 1 << 61


def set_at(uuid: str) -> int:
    return SETS + int(uuid.replace("-", "")[:14], 16)


def device_at(path: str) -> int:
    number = os.stat(path).st_rdev
    return DEVICES + (os.major(number) << 32 | os.minor(number))


@contextlib.contextmanager
def asking(path: str) -> Iterator[None]:
    """As a process that asks the disk, and has waited for it for a long time."""
    number = os.stat(path).st_rdev
    at = (os.major(number) << 20 | os.minor(number)) * 16
    fd = os.open(ASKING, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, at, 16, 0))
        os.pwrite(fd, struct.pack("Qq", 1, 1), at)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def holding(start: int = 0, length: int = 0) -> Iterator[None]:
    """As another process that changes something; LENGTH 0: all.  OSError: it is held already."""
    fd = os.open(LOCK, os.O_RDWR)
    try:
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start,
                                                 length, 0))
        yield
    finally:
        os.close(fd)


def check_free() -> None:
    """Nobody changes anything."""
    with holding():
        pass
