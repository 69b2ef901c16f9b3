# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk as a picture, and its bad sectors as other tools read them.

The drawing itself: unit/test_disk_map.c; that ddrescue's tools read the map: tools/test_rescue.py.
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.hardware import udev_record
from tests.scenarios.lib import Device, Rig, partition, pattern
from tests.scenarios.sets import (NOT_FOUND, PROGRAM, REFUSED, USAGE, create, dmremap,
                                  ext4_on_main, output, paths, refused)

pytestmark = [pytest.mark.disks(main="4M", spare="2M", disk="6M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", disk="DISK-0004"),
              pytest.mark.plain_only]


def worn(rig: Rig) -> None:
    """A set with two relocated sectors at 800, eight remapped ones at 2000, three of them lost."""
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(800, 2, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 2))
    device.close()
    rig.main.bad(2000, 3, kind="read")
    output("remap", "data", "2000", "8")


def test_a_map(rig: Rig, tmp_path: Path) -> None:
    worn(rig)
    text = output("map", "data", "--ascii", "--width", "75").splitlines()
    # of 1024 chunks, in 12 lines of 64: the guard's at both ends
    assert text[0] == "data: 4 MiB, 7 sectors remapped, 3 lost; each mark is 5.3 KiB"
    cells = "".join(line.split("|")[1] for line in text[1:13])
    assert len(cells) == 12 * 64 and cells[0] == "o" and set(cells) == set(".o*X")
    assert cells[800 // 8 * 768 // 1024] == "*" and cells[2000 // 8 * 768 // 1024] == "X"
    status = rig.status("data")
    assert text[13].startswith(f"spare: {status['used']} of {status['total']} slots used, 0 bad")
    # by the locale, and as wide as the terminal
    assert "·" in shown_at_a_terminal(100, LANG="C.UTF-8")
    assert max(map(len, shown_at_a_terminal(100, LANG="C.UTF-8").splitlines()[:13])) == 100
    plain = shown_at_a_terminal(60, LANG="C")
    assert plain.isascii() and max(map(len, plain.splitlines()[1:13])) == 60

    told = json.loads(output("map", "data", "--json"))
    assert told["nr_sectors"] == 8192 and told["total_slots"] == status["total"]
    found = {cell["sector"]: cell for cell in told["main"]}
    assert found[800]["remapped"] == 2 and (found[2000]["remapped"], found[2000]["lost"]) == (5, 3)
    assert sum(cell["used"] for cell in told["spare"]) == status["used"]

    picture = tmp_path / "map.svg"
    assert output("map", "data", "--svg", str(picture)) == ""
    assert re.search(r"<title>sectors 2000 to 2007: 5 remapped, 3 lost, 0 of dm-remap</title>",
                     picture.read_text())
    subprocess.run(["/usr/bin/python3", "-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])",
                    picture], check=True)
    for width in ("0", "26", "1025", "x"):
        assert "is not a width" in refused(USAGE, "map", "data", "--width", width)
    output("deactivate", "data")
    output("activate", "data", "--fallback")
    assert "fallback" in refused(REFUSED, "map", "data")


def shown_at_a_terminal(columns: int, **environment: str) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen([str(PROGRAM), "map", "data"], stdout=theirs, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], **environment}) as process:
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:    # the other end was closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return text.decode().replace("\r\n", "\n")


def test_an_export(rig: Rig, tmp_path: Path) -> None:
    worn(rig)
    assert output("export", "data") == "400\n1000\n1001\n1002\n1003\n"
    assert output("export", "data", "--block-size", "4096") == "100\n250\n"
    assert output("export", "data", "--format", "ranges") == "800 2\n2000 8\n"
    assert output("export", "data", "--format", "ranges", "--what", "lost") == "2000 3\n"
    remapped = output("export", "data", "--format", "ranges", "--what", "remapped").splitlines()
    assert {"0 8", "800 2", "2000 8"} < set(remapped)    # the guard moved the first chunk
    told = json.loads(output("export", "data", "--format", "json", "--what", "lost"))
    assert told["ranges"] == [{"sector": 2000, "nr_sectors": 3}]
    file = tmp_path / "map"
    assert output("export", "data", str(file), "--format", "ddrescue") == \
        f"{file}: 10 sectors in 2 places\n"
    assert "0x000FA000  0x00001000  -\n" in file.read_text()
    # what is written is understood again, and all of it is remapped already
    assert "10 bad sectors in 2 places" in output("import", "data", str(file), "--dry-run")
    for arguments in (("--format", "kernel"), ("--what", "good"), ("--block-size", "100"),
                      ("--format", "ranges", "--block-size", "512"), ("--json", "x"),
                      ("--json", "--format", "ranges")):
        assert dmremap("export", "data", *arguments).returncode == USAGE, arguments
    refused(NOT_FOUND, "export", "data", f"{tmp_path}/none/x")


@pytest.fixture
def part(rig: Rig) -> Iterator[str]:
    """A set "data" on partition 1 of "disk", which begins at sector 2048."""
    disk, spare = paths(rig, "disk", "spare")
    partition(disk, 1, 1, 2048, 8192)
    udev_record(f"{disk}p1").write_text("E:ID_SERIAL_SHORT=DISK-0004\nE:ID_MODEL=Testdisk\n"
                                        "E:PARTN=1\n")
    output("create", "data", f"{disk}p1", spare, "--yes")
    yield disk
    output("deactivate", "data")
    partition(disk, 2, 1)


def test_an_export_with_numbers_of_the_disk(rig: Rig, part: str) -> None:
    rig.server.disk("disk").bad(2048 + 800, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1))
    device.close()
    assert output("export", "data", "--format", "ranges") == "800 1\n"
    assert output("export", "data", "--format", "ranges", "--disk") == "2848 1\n"
    told = json.loads(output("export", "data", "--json", "--disk"))
    assert told["start"] == 2048 and told["disk"] == Path(part).name
    assert output("export", "data", "--disk", "--format", "ddrescue").splitlines()[4:6] == \
        ["0x00000000  0x00100000  ?", "0x00100000  0x00064000  +"]
