# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets as users make them, with the command.

Their disks have serial numbers, see hardware.py; power cuts during a command are made of what
logged() returns, see powercuts.py. Callers: the scenarios about sets.
"""

import contextlib
import json
import os
import pty
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.harness.blockd import Record
from tests.scenarios import inprocess
from tests.scenarios.lib import Device, Rig, drop_page_cache

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "dmremap"
# /var is the host's and read-only; a set without guard is not made without its backup
os.environ.setdefault("STATE_DIRECTORY", "/tmp/dm-remap-state")
LET_GO = Path("/run/dm-remap/let-go")
ONE_IS_NOT_MANY = re.compile(r"(?<![\d.] )(?<![\d.,/-])\b1 (?:of the others are\b|(?:more |bad |hidden )?"
                             r"(?:sector|chunk|set|place|slot|point|error|event|block|hour|day|"
                             r"read|write|flushe|commit|copie)s\b)")
OK, FAILED, USAGE, NOT_FOUND, WAITING, REFUSED, DAMAGED = range(7)
WAS_ACTIVE, HAS_FAULT, RETURNED = 12, 13, 14    # of activate --exit-code


def dmremap(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Whatever it says, it does not say "1 sectors"."""
    if threading.current_thread() is threading.main_thread():
        result = inprocess.call(*arguments)
    else:
        result = subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL)
    assert not ONE_IS_NOT_MANY.search(result.stdout + result.stderr), result
    return result


@contextlib.contextmanager
def asked(*arguments: str) -> Iterator[Callable[[], subprocess.CompletedProcess[str]]]:
    """The command waits for the answer to its question: what is given says yes."""
    terminal, inside = pty.openpty()
    with subprocess.Popen([str(PROGRAM), *arguments], stdin=inside, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stderr
        question = b""
        while not question.endswith(b"[y/N] "):
            more = os.read(process.stderr.fileno(), 100)
            assert more, question
            question += more

        def yes() -> subprocess.CompletedProcess[str]:
            os.write(terminal, b"y\n")
            out, err = process.communicate(timeout=60)
            return subprocess.CompletedProcess(["dmremap", *arguments], process.returncode,
                                               out.decode(), err.decode())

        try:
            yield yes
        finally:
            process.kill()
            os.close(terminal)
            os.close(inside)


def output(*arguments: str) -> str:
    result = dmremap(*arguments)
    assert result.returncode == OK, result
    return result.stdout


def refused(code: int, *arguments: str) -> str:
    """The one sentence of a call that must fail with CODE."""
    result = dmremap(*arguments)
    assert result.returncode == code, result
    assert result.stderr.startswith("dmremap: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def sets() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output("list", "--json"))["sets"]
    return found


def replugged() -> None:
    """As if the disks of all sets that were deactivated had been unplugged and had come back."""
    for note in LET_GO.glob("*"):
        note.write_text(re.sub(r" \d+$", " 999999", note.read_text(), flags=re.MULTILINE))


def paths(rig: Rig, *names: str) -> list[str]:
    return [str(rig.server.disk(name).kernel_path) for name in names]


def signatures(path: str) -> set[str]:
    """What wipefs sees on a device."""
    found = subprocess.run(["wipefs", "--json", "--no-act", path], capture_output=True, text=True,
                           check=True).stdout
    return {entry["type"] for entry in json.loads(found)["signatures"]} if found.strip() else set()


def run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result


def settle(rig: Rig, *names: str) -> None:
    for name in names or ("main", "spare"):
        rig.server.disk(name).destage()
        drop_page_cache(str(rig.server.disk(name).kernel_path))


def ext4_on_main(rig: Rig) -> bytes:
    run("mkfs.ext4", "-q", "-F", "-L", "data", paths(rig, "main")[0])
    settle(rig)
    return rig.media("main").whole()


def create(rig: Rig, *more: str, name: str = "data") -> str:
    return output("create", name, *paths(rig, "main", "spare"), "--yes", *more)


def content(name: str) -> bytes:
    device = Device(f"/dev/mapper/{name}", name, read_only=True)
    try:
        return device.pread(0, device.sectors())
    finally:
        device.close()


def content_at(name: str, sector: int) -> bytes | None:
    device = Device(f"/dev/mapper/{name}", name, read_only=True)
    try:
        return device.pread(sector)
    except OSError:
        return None
    finally:
        device.close()


def logged(rig: Rig, *arguments: str) -> tuple[dict[int, bytes], list[Record]]:
    """Run the command: what the disks held before it, by index, and the log of what it did."""
    names = [disk.name for disk in rig.server.disks()]
    settle(rig, *names)
    before = {rig.server.disk(name).index: rig.media(name).whole() for name in names}
    start = len(rig.server.log())
    output(*arguments)
    for name in names:
        rig.server.disk(name).destage()
    return before, rig.server.log()[start:]
