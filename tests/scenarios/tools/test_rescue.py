# SPDX-License-Identifier: GPL-2.0-or-later
"""ddrescue's and e2fsprogs' own tools read what `export` writes."""

import subprocess
from pathlib import Path

import pytest

from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.sets import create, ext4_on_main, output, paths

pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002")]


def said(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result
    return result.stdout


def exported(rig: Rig, path: Path, *options: str) -> None:
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(800, 2, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 2))
    device.close()
    rig.main.bad(2000, 3, kind="read")
    output("remap", "data", "2000", "8")
    output("export", "data", str(path), *options)


def test_ddrescuelog(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "map"
    exported(rig, path, "--format", "ddrescue")
    assert said("ddrescuelog", "-b512", "--list-blocks=-", str(path)).split() == \
        ["800", "801", *map(str, range(2000, 2008))]
    told = said("ddrescuelog", "--show-status", str(path))
    assert "4194 kB" in told and "5120 B" in told
    # as ddrescue writes it itself
    (tmp_path / "other").write_text(said("ddrescuelog", "--complete-mapfile", str(path)) or path.read_text())
    assert subprocess.run(["ddrescuelog", "--compare-mapfile", str(tmp_path / "other"),
                           str(path)]).returncode == 0


def test_a_copy_of_main_without_what_is_remapped(rig: Rig, tmp_path: Path) -> None:
    """As a domain: ddrescue copies what main serves, and leaves out what the spare does."""
    path, copy, log = tmp_path / "map", tmp_path / "copy", tmp_path / "log"
    exported(rig, path, "--format", "ddrescue", "--what", "remapped")
    said("ddrescue", "-q", "--domain-mapfile", str(path), paths(rig, "main")[0], str(copy), str(log))
    told = said("ddrescuelog", "-b512", "--list-blocks=?", str(log)).split()
    assert {"0", "800", "2000", "2007"} <= set(told) and "808" not in told
    assert said("ddrescuelog", "-b512", "--list-blocks=-", str(log)) == ""


def test_mke2fs_takes_the_list(rig: Rig, tmp_path: Path) -> None:
    path, image = tmp_path / "list", tmp_path / "image"
    exported(rig, path, "--block-size", "1024")
    image.write_bytes(bytes(4 << 20))
    said("mke2fs", "-q", "-F", "-b", "1024", "-l", str(path), str(image))
    assert said("dumpe2fs", "-b", str(image)).split() == ["400", "1000", "1001", "1002", "1003"]
