# SPDX-License-Identifier: GPL-2.0-or-later
"""What needs no kernel: the command and udev's prober on images of members, whole and damaged."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.sanitize.tools import Tool

OK, FAILED, USAGE, NOT_FOUND, WAITING, REFUSED, DAMAGED = range(7)
MIB = 1 << 20
MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "vfat": ["mkfs.vfat"],
    "swap": ["mkswap", "-q"],
    "luks2": ["cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2",
              "--pbkdf-force-iterations", "1000", "--key-file", "/proc/version"],
}


def blank(path: Path, nr_bytes: int) -> str:
    with open(path, "wb") as file:
        file.truncate(nr_bytes)
    return str(path)


def images(directory: Path, content: str = "ext4") -> tuple[str, str]:
    main = blank(directory / "main.img", 32 * MIB)
    if content:
        subprocess.run([*MKFS[content], main], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL)
    return main, blank(directory / "spare.img", 8 * MIB)


def adopted(tool: Tool, directory: Path, content: str = "ext4") -> tuple[str, str]:
    main, spare = images(directory, content)
    made = tool.run("dmremap", "create", "data", main, spare, "--yes")
    assert made.returncode == OK, made.stderr
    return main, spare


# Valgrind is slow, and AddressSanitizer has walked there: it does without these.
asan_only = pytest.mark.asan_only


@pytest.mark.parametrize("content", ["ext4", "luks2", pytest.param("", marks=asan_only),
                                     pytest.param("vfat", marks=asan_only),
                                     pytest.param("swap", marks=asan_only)])
def test_adopted_and_released(tool: Tool, tmp_path: Path, content: str) -> None:
    main, spare = images(tmp_path, content)
    before = Path(main).read_bytes()
    for arguments in (["--dry-run"], ["--yes"]):
        made = tool.run("dmremap", "create", "data", main, spare, *arguments)
        assert made.returncode == OK, made.stderr
    assert Path(main).read_bytes() != before
    again = tool.run("dmremap", "create", "data", main, spare, "--yes")
    assert again.returncode == REFUSED, again
    released = tool.run("dmremap", "release", main, spare, "--yes")
    assert released.returncode == OK, released.stderr
    assert Path(main).read_bytes() == before


def test_looked_at(tool: Tool, tmp_path: Path) -> None:
    main, spare = adopted(tool, tmp_path)
    for arguments in (["check", spare], ["check", spare, "--all", "--json"],
                      ["dump", spare], ["dump", spare, "--json"],
                      ["dump", spare, "--dm-table", "/dev/sdx"]):
        result = tool.run("dmremap", *arguments)
        assert result.returncode == OK and result.stdout, result
        if "--json" in arguments:
            json.loads(result.stdout)
    for path, role in ((main, "main"), (spare, "spare")):
        assert f"DM_REMAP_ROLE={role}\n" in tool.run("dm-remap-probe", path).stdout
    without = tool.run("dmremap", "release", "--without-spare", main, "--yes",
                       "--keep-header", str(tmp_path / "kept"))
    assert without.returncode == OK, without


def refused(tool: Tool, *calls: list[str]) -> None:
    for arguments in calls:
        result = tool.run("dmremap", *arguments)
        assert result.returncode != OK and result.stderr, (arguments, result)


def test_refused_after_a_look(tool: Tool, tmp_path: Path) -> None:
    """Each ends somewhere else: what was taken until then is given back."""
    main, spare = images(tmp_path)
    busy = blank(tmp_path / "other.img", 8 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", busy], check=True)
    refused(tool, ["create", "data", main, busy, "--yes"], ["create", "data", main, spare],
            ["check", main], ["release", main, spare, "--yes"],
            ["release", "--without-spare", main, "--yes"], ["status", "data"])


@asan_only
def test_refused(tool: Tool, tmp_path: Path) -> None:
    main, spare = images(tmp_path)
    small = blank(tmp_path / "small.img", 4096)
    nowhere = str(tmp_path / "nowhere")
    refused(tool, [], ["nonsense"], ["--nonsense"], ["create"], ["create", "data", main],
            ["create", "-x", main, spare, "--yes"], ["create", "data", main, small, "--yes"],
            ["create", "data", main, main, "--yes"],
            ["create", "data", main, spare, "--spare-size", "12Q", "--yes"],
            ["create", "data", nowhere, spare, "--yes"], ["check", nowhere],
            ["check", spare, "--spare-start", "x"], ["dump", "/dev/null"],
            ["remap", "data", "1x"], ["remap", "data", "18446744073709551616"],
            ["status"], ["import", "data", nowhere], ["activate", nowhere],
            ["show", "data", "--json"])
    help_ = tool.run("dmremap", "create", "--help")
    assert help_.returncode == OK and "usage" in help_.stdout


@asan_only
def test_lists_of_bad_sectors(tool: Tool, tmp_path: Path) -> None:
    badblocks, rescued = tmp_path / "badblocks", tmp_path / "mapfile"
    badblocks.write_text("".join(f"{n}\n" for n in range(100, 4000, 3)))
    rescued.write_text("# Mapfile. Created by GNU ddrescue\n0x0 ?\n0x0 0x10000 +\n"
                       "0x10000 0x200 -\n0x10200 0xfe00 +\n")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(random.Random(3).randbytes(5000))
    for path in (badblocks, rescued, garbage, tmp_path):
        tool.run("dmremap", "import", "data", str(path), "--dry-run")


def test_damaged_images(tool: Tool, tmp_path: Path) -> None:
    """Whatever is on a disk: read as far as it goes, without a step beside the buffers."""
    main, spare = adopted(tool, tmp_path)
    choice = random.Random(7)
    whole = {path: Path(path).read_bytes() for path in (main, spare)}
    # where metadata lies: the beginning of each, and the end of the spare
    places = {main: [(0, 4096)], spare: [(0, 256 << 10), (8 * MIB - (256 << 10), 8 * MIB)]}
    rounds = 40 if tool.name == "asan" else 4
    for n in range(rounds):
        path = spare if n % 3 else main
        data = bytearray(whole[path])
        for _ in range(choice.choice((1, 4, 400))):
            begin, end = choice.choice(places[path])
            where = choice.randrange(begin, end)
            data[where] = choice.choice((0, 0xff, choice.randrange(256)))
        if n % 5 == 4:
            del data[choice.randrange(1, len(data)):]
        Path(path).write_bytes(data)
        tool.run("dm-remap-probe", path)
        if path == spare:
            tool.run("dmremap", "check", path, "--all")
            tool.run("dmremap", "dump", path, "--json")
        else:
            tool.run("dmremap", "release", "--without-spare", path, "--yes",
                     "--keep-header", str(tmp_path / f"kept{n}"))
        Path(path).write_bytes(whole[path])
