# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes in sessions of their own, so that all they have started ends with them.

Callers: runner.py and uml.py, from several threads; tests/run, when it is told to stop.
"""

import os
import signal
import subprocess
import threading
from typing import Any

_running: set[int] = set()    # adding and discarding are atomic
_stopped = threading.Event()


def _kill(session: int) -> None:
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        pass


def start(command: list[str], **arguments: Any) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True,
                             **arguments)
    _running.add(child.pid)
    if told_to_stop():    # a moment ago
        _kill(child.pid)
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    """Whether or not CHILD itself has ended."""
    _kill(child.pid)
    child.wait()
    _running.discard(child.pid)


def told_to_stop() -> bool:
    return _stopped.is_set()


def end_all() -> None:
    """A thread that waits for one of them goes on, cleans up, and starts no other."""
    _stopped.set()
    for session in list(_running):
        _kill(session)
