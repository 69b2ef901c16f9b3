# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files bad sectors hit: the answer is compared with what the sectors hold.

Each sector of each file says whose it is, so that the media themselves are the oracle.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import remapd
from tests.scenarios.lib import Device, Rig, wait_for
from tests.scenarios.owned import FILES, KINDS, held, make_files, mounted
from tests.scenarios.region import Region
from tests.scenarios.remapd import running
from tests.scenarios.sets import PROGRAM, USAGE, create, output, refused, run, settle

__all__ = ["mounted"]    # a fixture
pytestmark = [pytest.mark.disks(main="320M", spare="8M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]
def asked(*sectors: int | str, name: str = "data") -> list[dict[str, Any]]:
    told = json.loads(output("files", name, *map(str, sectors), "--json"))
    assert told["dropped"] == 0
    hits: list[dict[str, Any]] = told["hits"]
    return hits


def shown(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="replace")


def check_names(place: Path, device: str, shift: int = 0) -> None:
    """Asked for all sectors at once, and for some alone: names and offsets are as the media say."""
    truth = held(device)
    assert len(truth) > 500 and {number for number, _ in truth.values()} == set(FILES)
    hits = asked(*(f"{sector + shift}+1" for sector in sorted(truth)[::7]))
    answered: dict[int, list[dict[str, Any]]] = {}
    for hit in hits:
        for n in range(hit["nr_sectors"]):
            answered.setdefault(hit["sector"] - shift + n, []).append(hit)
    assert set(answered) == set(sorted(truth)[::7])
    for sector, found in answered.items():
        number, offset = truth[sector]
        names = {str(place / shown(FILES[number]))} | \
            ({str(place / "another name")} if number == 1 else set())
        if FILES[number] == "sparse":
            offset += 1 << 20
        assert {hit["path"] for hit in found} == names, (sector, found)
        for hit in found:
            assert hit["kind"] == "file"
            assert hit["offset"] + (sector + shift - hit["sector"]) * 512 == offset, (sector, hit)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_those_of_the_content(rig: Rig, mounted: Any, kind: str) -> None:
    create(rig)
    run(*KINDS[kind], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", kind)
    make_files(place)
    # what another mount hides has its name, too
    run("mount", "-t", "tmpfs", "none", str(place / "hidden"))
    check_names(place, "/dev/mapper/data")
    text = output("files", "data", "2")
    assert "metadata" in text or kind == "xfs" and "by no name" in text
    last = rig.main.size_bytes // 512
    kinds = {hit["kind"] for hit in asked(f"0+{last}")}
    assert {"free", "file"} <= kinds and ("metadata" in kinds or kind == "xfs")
    assert "directory" in kinds or kind[:3] == "xfs"    # small ones lie in the inodes there
    assert "not-mounted" not in kinds and "unused" not in kinds


def test_lost_and_remapped(rig: Rig, mounted: Any) -> None:
    create(rig)
    assert "no such sectors" in output("files", "data")
    run(*KINDS["ext4"], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", "ext4")
    make_files(place)
    sector = min(s for s, (number, _) in held("/dev/mapper/data").items() if number == 3)
    rig.main.bad(sector + 2, 3, kind="read")
    output("remap", "data", str(sector), "8")
    hit, = asked()
    assert (hit["sector"], hit["nr_sectors"], hit["path"]) == \
        (sector + 2, 3, str(place / "with blank"))
    told = json.loads(output("files", "data", "--remapped", "--json"))["hits"]
    assert [(hit["sector"], hit["nr_sectors"]) for hit in told] == [(sector, 8)]
    assert f"{place}/with blank, from byte 1024" in output("files", "data", "--lost")
    # foreign bytes do not reach the terminal
    bad = min(s for s, (number, _) in held_past(rig).items() if number == 4)
    text = output("files", "data", str(bad))
    assert "new\\x0aline\\x1b[31m" in text and "\x1b" not in text
    refused(USAGE, "files", "data", "--lost", "7")
    refused(USAGE, "files", "data", "99999999")
    refused(USAGE, "files", "data", "1", "--time", "soon")


def held_past(rig: Rig) -> dict[int, tuple[int, int]]:
    """As held(), of the media: past what cannot be read."""
    rig.main.destage()
    return held(str(rig.main.media_path))


def test_partitions_and_volumes_in_between(rig: Rig, mounted: Any) -> None:
    """Two linear segments in the wrong order, a crypt on one, and what is not resolved."""
    create(rig)
    base = "/dev/mapper/data"
    run("dmsetup", "create", "lv", "--table", f"0 40000 linear {base} 60000\n40000 30000 linear {base} 2048")
    key = "00" * 32
    run("dmsetup", "create", "secret", "--table",
        f"0 60000 crypt aes-xts-plain64 {key} 0 /dev/mapper/lv 4096")
    run(*KINDS["ext4"], "/dev/mapper/secret")
    place = mounted("/dev/mapper/secret", "ext4")
    make_files(place)
    truth = held("/dev/mapper/secret")

    def on_set(sector: int) -> int:
        sector += 4096
        return sector + 60000 if sector < 40000 else sector - 40000 + 2048
    for sector, (number, offset) in list(truth.items())[::97]:
        hits = asked(on_set(sector))
        assert str(place / shown(FILES[number])) in {hit["path"] for hit in hits}
        assert hits[0]["offset"] + (on_set(sector) - hits[0]["sector"]) * 512 == \
            offset + ((1 << 20) if FILES[number] == "sparse" else 0)
    hit, = asked(1000)
    assert hit["kind"] == "unused" and "in no volume" in hit["what"]
    run("dmsetup", "create", "mirror", "--table", f"0 128 striped 1 128 {base} 110000")
    hit, = asked(110010)
    assert hit["kind"] == "unknown" and "striped" in hit["what"]
    subprocess.run(["umount", str(place)], check=True)
    for name in ("mirror", "secret", "lv"):
        run("dmsetup", "remove", name)


def test_not_mounted(rig: Rig, mounted: Any) -> None:
    """ext4 is looked into by debugfs; what cannot be told is said so."""
    create(rig)
    run(*KINDS["ext4"], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", "ext4")
    make_files(place)
    run("umount", str(place))
    truth = held("/dev/mapper/data")
    wanted = [next(s for s, (number, _) in truth.items() if number == n) for n in (1, 2, 3)]
    paths = {hit["sector"]: hit["path"] for hit in asked(*wanted)}
    assert paths[wanted[0]] in ("/plain", "/another name")
    assert [paths[sector] for sector in wanted[1:]] == ["/dir/deep/er/file", "/with blank"]
    hit, = asked(0)
    assert hit["kind"] == "metadata"
    free, = asked(rig.main.size_bytes // 512 - 3000)
    assert free["kind"] == "free"
    run("wipefs", "-a", "/dev/mapper/data")
    hit, = asked(5000)
    assert hit["kind"] == "not-mounted" and "no file system" in hit["what"]
    run(*KINDS["xfs"], "/dev/mapper/data")
    hit, = asked(5000)
    assert "xfs, not mounted" in hit["what"]
    run("mkswap", "-f", "/dev/mapper/data")
    hit, = asked(5000)
    assert "swap, not mounted" in hit["what"]


def sector_of(inode: int) -> int:
    blocks = subprocess.run(["debugfs", "-R", f"blocks <{inode}>", "/dev/mapper/data"],
                            capture_output=True, text=True, check=True).stdout.split()
    return int(blocks[0]) * 8


def test_a_name_does_not_name_another_file(rig: Rig, mounted: Any) -> None:
    """debugfs prints names raw: a user's directory has a line of its answer in its name."""
    create(rig)
    run(*KINDS["ext4"], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", "ext4")
    for number in range(8):
        (place / f"dir{number}").mkdir()
    first, *_, last = sorted(place.glob("dir?"), key=lambda path: path.stat().st_ino)
    for path in (first / "liar", last / "victim"):
        path.write_bytes(b"x" * 4096)
    liar, victim = ((path).stat().st_ino for path in (first / "liar", last / "victim"))
    first.rename(place / f"d\n{victim}\t")
    run("umount", str(place))
    said = subprocess.run(["debugfs", "-R", f"ncheck {liar} {victim}", "/dev/mapper/data"],
                          capture_output=True, text=True, check=True).stdout
    assert f"\n{victim}\t/liar\n" in said, said
    told = {hit["inode"]: hit for hit in asked(sector_of(liar), sector_of(victim))}
    assert told[victim]["path"] in (f"/{last.name}/victim", None), told
    assert told[victim]["kind"] in ("file", "inode")
    assert told[liar]["path"] is None and told[liar]["kind"] == "inode", told
    # nor its number, which debugfs takes for a name
    run("mount", "/dev/mapper/data", str(place))
    (place / f"d\n{victim}\t" / "liar").rename(place / f"liar\n{victim}\t<{victim}>")
    run("umount", str(place))
    told = {hit["inode"]: hit for hit in asked(sector_of(liar), sector_of(victim))}
    assert told[victim]["path"] in (f"/{last.name}/victim", None), told


@pytest.mark.parametrize("kind", ["ext4", "xfs", "xfs-rmap"])
def test_a_file_without_a_name(rig: Rig, mounted: Any, kind: str) -> None:
    """Deleted and still open: it is in use, by an inode where that is known."""
    create(rig)
    run(*KINDS[kind], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", kind)
    make_files(place)
    truth = held("/dev/mapper/data")
    sector = next(s for s, (number, _) in truth.items() if number == 3)
    with (place / "with blank").open("rb") as file:
        inode = os.fstat(file.fileno()).st_ino
        (place / "with blank").unlink()
        os.sync()
        hit, = asked(sector)
        assert hit["path"] is None and hit["kind"] in ("inode", "unknown")
        assert hit["inode"] == (inode if kind == "xfs-rmap" else hit["inode"])


def test_directories_that_cannot_be_read(rig: Rig, mounted: Any) -> None:
    """The list may lack names then, and says so."""
    create(rig)
    run(*KINDS["ext4"], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", "ext4")
    make_files(place)
    sector, = {hit["sector"] for hit in asked("0+100000") if
               hit["path"] == str(place / "dir/deep")}
    truth = held("/dev/mapper/data")
    wanted = next(s for s, (number, _) in truth.items() if number == 2)
    run("umount", str(place))
    rig.main.bad(sector, 8, kind="read")
    Path("/proc/sys/vm/drop_caches").write_text("3")
    run("mount", "/dev/mapper/data", str(place))
    told = json.loads(output("files", "data", str(wanted), "--json"))
    assert "could not be looked at" in " ".join(told["notes"])
    assert told["hits"][0]["path"] != str(place / "dir/deep/er/file")


def test_the_journal_and_a_limit_of_time(rig: Rig, mounted: Any) -> None:
    create(rig)
    run(*KINDS["ext4"], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", "ext4")
    make_files(place)
    blocks = subprocess.run(["debugfs", "-R", "blocks <8>", "/dev/mapper/data"],
                            capture_output=True, text=True, check=True).stdout.split()
    hit, = asked(int(blocks[5]) * 8)
    assert (hit["kind"], hit["what"]) == ("metadata", "journal")
    sector = next(s for s, (number, _) in held("/dev/mapper/data").items() if number == 6)
    assert asked(sector, "--time", "100")[0]["path"] == str(place / "hidden/below")


def fail_a_read(device: Device, sector: int) -> None:
    with pytest.raises(OSError):
        device.pread(sector)


def of_file(number: int) -> list[int]:
    return sorted(s for s, (n, _) in held("/dev/mapper/data").items() if n == number)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_journal_names_the_file(rig: Rig, mounted: Any, tmp_path: Path, kind: str) -> None:
    """First that the sector cannot be read, and then whose it is; asked for once."""
    create(rig)
    run(*KINDS[kind], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", kind)
    make_files(place)
    sectors = of_file(3)
    bad, other, free = sectors[4], sectors[20], 655_000
    rig.main.bad(bad, kind="read")
    rig.main.bad(free, kind="read")
    device = Device("/dev/mapper/data", "data", read_only=True)
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        fail_a_read(device, bad)
        told = daemon.wait_for(DM_REMAP_EVENT="files")
        order = [entry["DM_REMAP_EVENT"] for entry in daemon.entries if "DM_REMAP_EVENT" in entry]
        assert order.index("read-error") < order.index("files")
        assert told["DM_REMAP_FILE"] == str(place / shown(FILES[3]))
        assert told["DM_REMAP_KIND"] == "file" and told["PRIORITY"] == "4"
        assert int(told["DM_REMAP_SECTOR"]) <= bad < \
            int(told["DM_REMAP_SECTOR"]) + int(told["DM_REMAP_NR_SECTORS"])
        assert f"is file {place}" in told["MESSAGE"] and told["DM_REMAP_NAME"] == "data"
        fail_a_read(device, free)
        assert "is free space" in daemon.wait_for(DM_REMAP_KIND="free")["MESSAGE"]
        # again: it was told
        fail_a_read(device, bad)
        daemon.reload()
        time.sleep(3)
        assert len(daemon.find(DM_REMAP_EVENT="files")) == 2
        # and not where it is not wanted
        daemon.config.write_text("[errors]\nfiles = no\n")
        daemon.reload()
        rig.main.bad(other, kind="read")
        fail_a_read(device, other)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR=str(other))
        time.sleep(3)
        assert len(daemon.find(DM_REMAP_EVENT="files")) == 2
    device.close()


def test_the_journal_names_the_file_of_a_slot(rig: Rig, mounted: Any, tmp_path: Path) -> None:
    """Whichever member cannot be read: the file is as hard to read."""
    create(rig)
    run(*KINDS["ext4"], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", "ext4")
    make_files(place)
    sector = of_file(3)[4]
    output("remap", "data", str(sector // 8 * 8), "8", "--yes")
    slot, = [remap["slot"] for remap in json.loads(output("show", "data", "--json"))["remaps"]
             if remap["sector"] == sector // 8 * 8]
    settle(rig)
    rig.spare.bad(Region(rig).slot(slot), 8, kind="read")
    device = Device("/dev/mapper/data", "data", read_only=True)
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        fail_a_read(device, sector)
        assert daemon.wait_for(DM_REMAP_EVENT="read-error")["DM_REMAP_MEMBER"] == "spare"
        assert daemon.wait_for(DM_REMAP_EVENT="files")["DM_REMAP_FILE"] == \
            str(place / shown(FILES[3]))
    device.close()


def test_a_search_that_hangs_holds_nobody_up(rig: Rig, tmp_path: Path) -> None:
    """As one does that waits for a disk: entries, verdicts and the loop do not wait for it."""
    create(rig)
    rig.main.bad(800, 200, kind="read")
    device = Device("/dev/mapper/data", "data", read_only=True)
    # the daemon runs the command that lies beside it
    beside = tmp_path / "bin"
    beside.mkdir()
    shutil.copy(remapd.PROGRAM, beside)
    command = beside / "dmremap"
    command.write_text(f"#!/bin/sh\n[ $1 != files ] || {{ echo x >>{tmp_path}/begun; sleep 30; }}\n"
                       f'exec {PROGRAM} "$@"\n')
    command.chmod(0o755)
    with running(tmp_path, "[watch]\npatience = 5\n",
                 ("sh", "-c", f"exec {beside}/dm-remapd")) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        wait_for(lambda: list(tmp_path.glob("*.history")), "the first point", 60)
        fail_a_read(device, 800)
        wait_for((tmp_path / "begun").exists, "the search", 30)
        for sector in range(808, 832, 8):
            begin = time.monotonic()
            fail_a_read(device, sector)
            daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR=str(sector))
            daemon.reload()
            assert time.monotonic() - begin < 4
        daemon.wait_for(DM_REMAP_VERDICT="watch")
        told = daemon.wait_for(DM_REMAP_EVENT="late", DM_REMAP_VERB="files")
        assert told["DM_REMAP_NAME"] == "data" and not daemon.find(DM_REMAP_EVENT="files")
        assert output("save", "data") is not None    # other commands are not held up
        assert (tmp_path / "begun").read_text() == "x\n"    # and there is no second one
        begin = time.monotonic()
        assert daemon.stop() == 0 and time.monotonic() - begin < 10
    device.close()
