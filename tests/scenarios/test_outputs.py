# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the command writes what it prints: closed files, full ones, devices, readers that go."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig
from tests.scenarios.sets import (FAILED, NOT_FOUND, OK, PROGRAM, REFUSED, USAGE, create, dmremap,
                                  ext4_on_main, output, paths, refused, sets, settle)

pytestmark = [pytest.mark.disks(main="2M", spare="1M"), pytest.mark.plain_only,
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"),
              pytest.mark.usefixtures("state_directory")]


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_files_are_no_disks(rig: Rig, closed: str) -> None:
    """The first thing that is opened would be file 1, and what is printed would go into it."""
    before = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    shell(f"{PROGRAM} create data {main} {spare} --yes {closed}")
    assert [line["state"] for line in sets()] == ["active"]
    shell(f"{PROGRAM} deactivate data {closed}; {PROGRAM} backup {spare} {closed}")
    assert "all metadata is intact" in output("check", spare)
    shell(f"{PROGRAM} release {main} {spare} {closed}")    # it is not confirmed
    assert [line["state"] for line in sets()] == ["ready"]
    shell(f"{PROGRAM} release {main} {spare} --yes {closed}")
    settle(rig)
    assert sets() == [] and rig.media("main").whole() == before
    assert not any(rig.media("spare").whole()[:4096])


def test_what_cannot_be_printed_is_told(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    for verb in ("list", "list --json", "status", "show data", "health", "health data --json",
                 "history data", "history data --plot", "metrics", "--help", "help list",
                 "--version", "verify data 7", "list --names"):
        result = shell(f"{PROGRAM} {verb} >/dev/full")
        assert result.returncode == FAILED and "No space left" in result.stderr, (verb, result)
        result = shell(f"{PROGRAM} {verb} | :")
        assert "core" not in result.stderr and result.returncode == OK, (verb, result)
    # and why it failed is told besides
    result = shell(f"{PROGRAM} release data >/dev/full")
    assert result.returncode == REFUSED and "not done" in result.stderr, result
    assert "No space left" in result.stderr


@pytest.mark.parametrize("verb", ["metrics --write", "history data --svg", "map data --svg",
                                  "export data", "backup data"])
def test_a_file_is_no_device(rig: Rig, verb: str, tmp_path: Path) -> None:
    """It takes the place of the file before: of /dev/null it must not."""
    ext4_on_main(rig)
    create(rig)
    device, link = tmp_path / "null", tmp_path / "link"
    os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
    link.symlink_to("file")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    os.mkfifo(tmp_path / "fifo")
    for path in (device, link, tmp_path / "fifo", tmp_path / "stdout", tmp_path):
        assert "not a regular file" in refused(USAGE, *verb.split(), str(path)), path
    assert device.is_char_device() and link.is_symlink()
    output(*verb.split(), str(tmp_path / "file"))
    before = (tmp_path / "file").read_bytes()
    assert before or verb.startswith("export")    # of which there may be none
    output(*verb.split(), str(tmp_path / "file"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "file", "link", "null",
                                                                 "state", "stdout"]


def test_what_is_no_backup_is_not_read(rig: Rig, tmp_path: Path) -> None:
    """It may have no end; a pipe may be one."""
    ext4_on_main(rig)
    create(rig)
    output("backup", "data", str(tmp_path / "backup"))
    output("deactivate", "data")
    spare, = paths(rig, "spare")
    with (tmp_path / "long").open("wb") as file:
        file.truncate(1 << 40)
    for path in ("/dev/zero", tmp_path / "long", paths(rig, "main")[0]):
        assert "not a dm-remap backup" in refused(NOT_FOUND, "restore-backup", str(path), spare), path
    result = shell(f"cat {tmp_path}/backup | {PROGRAM} restore-backup /proc/self/fd/0 {spare}")
    assert result.returncode == REFUSED and "its metadata is intact" in result.stderr, result


def test_what_is_in_the_state_directory_is_not_waited_for(rig: Rig, state_directory: Path) -> None:
    ext4_on_main(rig)
    create(rig)
    uuid = sets()[0]["uuid"]
    (state_directory / f"{uuid}.backup").unlink()
    # nor is a link followed
    (state_directory / "elsewhere").write_text("kept\n")
    (state_directory / f"{uuid}.history").symlink_to("elsewhere")
    dmremap("health", "--record")
    assert (state_directory / "elsewhere").read_text() == "kept\n"
    (state_directory / f"{uuid}.history").unlink()
    for name in (f"{uuid}.history", f"{uuid}.main.smart", f"{uuid}.spare.smart", f"{uuid}.backup",
                 f"{uuid}.scrub", "other.backup"):
        os.mkfifo(state_directory / name)
    for verb in ("list", "status", "health", "health --record", "history data", "metrics",
                 "backup data", "backup data --renew", "activate nosuch", "deactivate data",
                 "release data --yes"):
        shell(f"STATE_DIRECTORY={state_directory} timeout 20 {PROGRAM} {verb} >/tmp/out 2>&1; "
              "echo $? >>/tmp/out")
        assert not Path("/tmp/out").read_text().endswith("124\n"), verb
    assert sets() == []
