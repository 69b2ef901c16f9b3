# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap` called as a function. In User Mode Linux a process with twenty libraries takes
0.3 s to start, and a page fault is what is slow: scenarios that give a thousand states to the
command would take an hour. It is the same main() (daemon/Makefile, in-process); what the
program itself is like, test_command.py and test_offline.py see.

Callers: sets.py. One call at a time, from the main thread.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "build" / "in-process" / "dmremap.so"


class _Standard:
    """0, 1 and 2 are /dev/null and two files for as long as it is entered."""

    def __enter__(self) -> "_Standard":
        self._files = [open("/dev/null", "rb"), tempfile.TemporaryFile(), tempfile.TemporaryFile()]
        self._saved = [os.dup(fd) for fd in range(3)]
        for fd, file in enumerate(self._files):
            os.dup2(file.fileno(), fd)
        return self

    def __exit__(self, *_: object) -> None:
        for fd, saved in enumerate(self._saved):
            os.dup2(saved, fd)
            os.close(saved)
        for file in self._files:
            file.close()

    def text(self, fd: int) -> str:
        self._files[fd].seek(0)
        return self._files[fd].read().decode()


_library: list[ctypes.CDLL] = []
KILLED = 137


def killed(before: int, *arguments: str) -> int:
    """As call(), in a process that ends before changing call BEFORE; its exit code."""
    call("--version")    # the library is there
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        ctypes.c_int.in_dll(_library[0], "killed_before").value = before
        ctypes.c_int.in_dll(_library[0], "killed_calls").value = 0
        code = call(*arguments).returncode
    finally:
        os._exit(code)


@contextlib.contextmanager
def stopped(*arguments: str, at: str = "stopped_once") -> Iterator[Callable[[], int]]:
    """As call(), in a process that has stopped before it opens the members of a set, or AT another
    place (tools/killed.c): what is given lets it go on, and returns its exit code."""
    call("--version")
    pid = os.fork()
    if not pid:
        code = 1
        try:
            ctypes.c_int.in_dll(_library[0], at).value = 1
            code = call(*arguments).returncode
        finally:
            os._exit(code)
    ended: list[int] = []

    def go_on() -> int:
        os.kill(pid, signal.SIGCONT)
        ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return ended[0]

    status = os.waitpid(pid, os.WUNTRACED)[1]
    assert os.WIFSTOPPED(status), status
    try:
        yield go_on
    finally:
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What `dmremap ARGUMENTS` does, prints and returns, with nothing at its input."""
    if not _library:
        _library.append(ctypes.CDLL(str(LIBRARY)))
    program, libc = _library[0], ctypes.CDLL(None)
    words = [b"dmremap", *(argument.encode() for argument in arguments)]
    argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    ctypes.c_int.in_dll(libc, "optind").value = 0
    with _Standard() as standard:
        code = program.main(len(words), argv)
        libc.fflush(None)
        program.dm_lib_release()    # as at the end of a process
        return subprocess.CompletedProcess(["dmremap", *arguments], code, standard.text(1),
                                           standard.text(2))
