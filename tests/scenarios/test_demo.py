# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap demo`: to be seen with nothing but the packages."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

pytestmark = pytest.mark.plain_only
DMREMAP = PROJECT / "build" / "dmremap"


def demo(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script that the verb runs, from this tree instead of /usr/lib."""
    return subprocess.run([PROJECT / "packaging" / "demo", DMREMAP], capture_output=True, text=True,
                          env={**os.environ, "TMPDIR": str(tmp_path), **environment})


def left(tmp_path: Path) -> list[str]:
    devices = subprocess.run(["dmsetup", "ls"], capture_output=True, text=True).stdout
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout
    return [*(line for line in (devices + loops).splitlines() if "demo" in line),
            *(path.name for path in tmp_path.iterdir() if path.name.startswith("dm-remap-demo"))]


def test_nothing_is_lost_and_nothing_stays(tmp_path: Path) -> None:
    told = demo(tmp_path, LC_ALL="C")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Nothing was lost." in told.stdout and told.stdout.count("40 files read back") == 2
    remapped = re.search(r"; (\d+) writes that failed", told.stdout)
    assert remapped and int(remapped[1]) > 50
    assert "Input/output error" in told.stdout, "the bare disk is not bad"
    # it ends with the verdict and the map
    ending = told.stdout.split("\n7. ")[1]
    assert re.search(r"^  remap-demo-\d+: (watch|failing)$", ending, re.MULTILINE), ending
    assert "the main device had" in ending and "do: " in ending
    assert int(re.search(r": 128 MiB, (\d+) sectors remapped, 0 lost;", ending)[1]) >= 50
    cells = "".join(line.split("|", 1)[1] for line in ending.splitlines() if "|" in line)
    assert len(set(cells) & set("-+*#")) >= 1 and "o" in cells
    assert left(tmp_path) == []


@pytest.mark.parametrize("how", ["its-reader-goes", "its-terminal-goes"])
def test_nothing_stays_of_one_that_is_cut_short(tmp_path: Path, how: str) -> None:
    """`dmremap demo | head`, and a terminal that is closed."""
    running = subprocess.Popen([PROJECT / "packaging" / "demo", DMREMAP], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True,
                               env={**os.environ, "TMPDIR": str(tmp_path)})
    assert running.stdout
    for line in running.stdout:
        if line.startswith("2. "):    # the disk in memory is there
            break
    if how == "its-terminal-goes":
        running.send_signal(signal.SIGHUP)
        running.stdout.read()
    running.stdout.close()
    assert running.wait(120) in (130, 141)    # it, or what it runs, is told by the pipe
    assert left(tmp_path) == []


def test_a_promise_that_is_not_kept_is_told(tmp_path: Path) -> None:
    """A checksum that differs, here by another program of that name."""
    other = tmp_path / "bin" / "sha256sum"
    other.parent.mkdir()
    other.write_text('#!/bin/sh\n[ "$1" != --quiet ] && exec /usr/bin/sha256sum "$@"\nexit 1\n')
    other.chmod(0o755)
    told = demo(tmp_path, PATH=f"{other.parent}:{os.environ['PATH']}")
    assert told.returncode == 1 and "The demo has failed: files are not" in told.stderr
    assert "Nothing was lost" not in told.stdout
    assert left(tmp_path) == []


@pytest.mark.parametrize("fails", [True, False])
def test_a_command_that_fails_is_told(tmp_path: Path, fails: bool) -> None:
    """Also one that says it has done it, and has not."""
    other = tmp_path / "dmremap"
    other.write_text(f'#!/bin/sh\n[ "$1" != deactivate ] || [ -e {tmp_path}/once ] || '
                     f'{{ touch {tmp_path}/once; exit {int(fails)}; }}\nexec {DMREMAP} "$@"\n')
    other.chmod(0o755)
    told = subprocess.run([PROJECT / "packaging" / "demo", other], capture_output=True, text=True,
                          env={**os.environ, "TMPDIR": str(tmp_path)})
    assert told.returncode == 1, told.stdout
    assert ("ended with code 1" if fails else "still active") in told.stderr
    assert left(tmp_path) == []


def test_the_verb_runs_what_is_installed() -> None:
    told = subprocess.run([DMREMAP, "demo"], capture_output=True, text=True)
    if not Path("/usr/lib/dm-remap/demo").exists():
        assert told.returncode and "/usr/lib/dm-remap/demo cannot be run" in told.stderr
