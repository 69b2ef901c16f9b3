# SPDX-License-Identifier: GPL-2.0-or-later
"""What another user does: a function in a process without any privilege.

Callers: test_who_may.py.
"""

import errno
import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.scenarios import inprocess

USER = 65534
T = TypeVar("T")


def as_other(function: Callable[..., T], *arguments: Any) -> T:
    """What FUNCTION returns there; an exception of it is raised here."""
    inprocess.call("--version")    # the library is there: what it lies in may be root's
    read, write = os.pipe()
    child = os.fork()
    if not child:
        outcome: Any = None
        try:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            outcome = True, function(*arguments)
        except BaseException as error:    # whatever it is, it goes to the parent
            outcome = False, error
        finally:
            with os.fdopen(write, "wb") as pipe:
                pipe.write(pickle.dumps(outcome))
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        succeeded, result = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    if not succeeded:
        raise result
    return result


def error_of(function: Callable[..., object], *arguments: Any) -> str:
    """The name of the error with which it ends there; empty: none."""
    def attempt() -> str:
        try:
            function(*arguments)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return ""

    return as_other(attempt)


def open_for(path: Path | str, flags: int) -> None:
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))


def lock(path: Path | str) -> None:
    """A lock of any kind that keeps others out, while this process lives."""
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
