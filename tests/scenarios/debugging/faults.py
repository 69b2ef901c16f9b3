# SPDX-License-Identifier: GPL-2.0-or-later
"""Allocations that fail: the kernel's failslab and fail_page_alloc.

Only in the debugging kernel. Callers: test_allocations.py.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DEBUGFS = Path("/sys/kernel/debug")
KINDS = ("failslab", "fail_page_alloc")


def _set(values: dict[str, int | str]) -> None:
    for kind in KINDS:
        for name, value in values.items():
            (DEBUGFS / kind / name).write_text(str(value))


def set_up() -> None:
    """Also those that may wait may fail, and no failure is told in the kernel's log."""
    _set({"ignore-gfp-wait": "N", "verbose": 0, "probability": 0, "times": -1, "interval": 1})
    (DEBUGFS / "fail_page_alloc" / "ignore-gfp-highmem").write_text("N")
    (DEBUGFS / "fail_page_alloc" / "min-order").write_text("0")


class Nth:
    """The N-th allocation of this thread, in the body of failing(), fails."""

    happened = False


@contextmanager
def failing(number: int) -> Iterator[Nth]:
    nth = Nth()
    fd = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
    left = b""
    try:
        os.pwrite(fd, str(number).encode(), 0)
        try:
            yield nth
        finally:
            left = os.pread(fd, 16, 0)
            os.pwrite(fd, b"0", 0)
    finally:
        os.close(fd)
    nth.happened = left.strip() == b"0"


def each(numbers: Sequence[int], action: Callable[[], object], undo: Callable[[], None],
         check: Callable[[], None]) -> int:
    """ACTION with one of its allocations failing, each of NUMBERS in turn, until it has so many.

    It either succeeds, and is undone, or fails. CHECK is called after each. Returns how many
    failed.
    """
    for nr_failed, number in enumerate(numbers):
        error = None
        with failing(number) as nth:
            try:
                action()
            except OSError as raised:
                error = raised.errno
            except MemoryError:
                error = errno.ENOMEM
        if not nth.happened:
            assert error is None, os.strerror(error)
            undo()
            return nr_failed
        if error is None:
            undo()
        check()
    raise AssertionError("it allocates without end")


@contextmanager
def workers_without_memory() -> Iterator[None]:
    """All that kernel workers of unbound queues ask for is refused, but what pools keep."""
    def mark(value: str) -> None:
        for task in Path("/proc").glob("[0-9]*"):
            try:
                if (task / "comm").read_text().startswith("kworker/u"):
                    (task / "make-it-fail").write_text(value)
            except OSError:    # it has ended
                pass

    _set({"task-filter": "Y", "probability": 100})
    mark("1")
    try:
        yield
    finally:
        mark("0")
        _set({"probability": 0, "task-filter": "N"})
