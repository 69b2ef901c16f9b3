# SPDX-License-Identifier: GPL-2.0-or-later
"""Row 7: /sys/block/dm-N/remap, one value a file, the names of v3 among them."""

import errno
import os
import re
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig, pattern


def directory(r0) -> Path:
    return Path("/sys/block") / os.path.basename(r0.path) / "remap"


def test_facts_agree_with_status(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, kind="write")
    r0.pwrite(100, pattern(1))
    place, status = directory(r0), rig.status()
    for name, key in (("mode", "mode"), ("used_slots", "used"), ("total_slots", "total"),
                      ("lost_sectors", "lost_sectors"), ("stats/relocations", "relocations"),
                      ("stats/write_errors", "write_errors"), ("generation", "generation")):
        assert (place / name).read_text().strip() == str(status[key]), name
    assert (place / "stats/relocations").read_text() == "1\n"
    assert (place / "health").read_text() == "good\n"
    assert (place / "version").read_text().strip()
    for file in place.rglob("*"):
        if file.is_file():
            assert len(file.read_text().splitlines()) == 1, file


def test_health_that_the_kernel_can_tell(rig: Rig) -> None:
    place = directory(rig.create())
    rig.message("r0", "freeze")
    assert (place / "health").read_text() == "degraded\n"
    rig.message("r0", "thaw")
    assert (place / "health").read_text() == "good\n"


def test_every_file_is_documented(rig: Rig) -> None:
    """The ABI file names all of them and no other."""
    text = (Path(__file__).resolve().parents[2] / "kmod" / "sysfs-block-dm-remap").read_text()
    documented = set(re.findall(r"^What:\t+/sys/block/dm-<num>/remap/(\S+)$", text, re.MULTILINE))
    place = directory(rig.create())
    names = {str(f.relative_to(place)) for f in place.rglob("*") if f.is_file()}
    counters = {name for name in names if name.startswith("stats/")}
    assert counters and documented == names - counters | {"stats/<counter>"}
    settings = re.findall(r"<num>/remap/(\S+)\nDescription:\s+\(RW\)", text)
    assert set(settings) == {f.name for f in place.rglob("*") if f.is_file()
                             and f.stat().st_mode & 0o200}
    parameters = set(re.findall(r"^What:\t+(/sys/module/\S+)$", text, re.MULTILINE))
    assert parameters == {str(f) for f in Path("/sys/module/dm_remap/parameters").iterdir()}


def test_auto_remap_off_relocates_nothing(rig: Rig) -> None:
    r0 = rig.create()
    setting = directory(r0) / "auto_remap"
    assert setting.read_text() == "enabled\n"
    setting.write_text("disabled\n")
    rig.main.bad(100, kind="write")
    with pytest.raises(OSError):
        r0.pwrite(100, pattern(1))
    assert rig.status()["used"] == 1
    setting.write_text("enabled")
    r0.pwrite(100, pattern(2))
    assert r0.pread(100) == pattern(2)
    assert rig.status()["used"] == 2


def test_wrong_settings_are_refused(rig: Rig) -> None:
    place = directory(rig.create())
    for name, value in (("auto_remap", "maybe"), ("error_threshold", "0"),
                        ("error_threshold", "101"), ("error_threshold", "1x")):
        before = (place / name).read_text()
        with pytest.raises(OSError) as caught:
            (place / name).write_text(value)
        assert caught.value.errno in (errno.EINVAL, errno.ERANGE)
        assert (place / name).read_text() == before
    (place / "error_threshold").write_text("100")
    assert (place / "error_threshold").read_text() == "100\n"


def test_directory_follows_ownership(rig: Rig) -> None:
    r0 = rig.create()
    place = directory(r0)
    rig.reload()
    assert (place / "mode").read_text() == "rw\n"
    rig.remove()
    assert not place.exists()
