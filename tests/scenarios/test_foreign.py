# SPDX-License-Identifier: GPL-2.0-or-later
"""What a disk calls itself is data: no byte of it reaches a terminal, JSON, a rule or a path raw.

Every field that holds text, in the superblock, the member header, a backup and udev's database,
gets every hostile value; then all verbs that show or use it are called, and what they printed
and wrote is searched.
"""

import os
import json
import re
import struct
import subprocess
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.hardware import hardware
from tests.scenarios.lib import SECTOR, Rig, drop_page_cache
from tests.scenarios.ondisk import (FLAGS, HOST, IDENTITY, LABEL, Block, Spare, patch, patch_supers,
                                    seal)
from tests.scenarios.sets import (LET_GO, OK, REFUSED, create, dmremap, ext4_on_main,
                                  output, paths, refused, sets, settle)

RULES, STATE = Path("/etc/udev/rules.d"), Path(os.environ["STATE_DIRECTORY"])
HEADER_HOST, HEADER_LABEL, HEADER_IDENTITY = (72, 16), (88, 40), (128, 200)  # the member header
BLOB = 4096 - SECTOR
HOSTILE = [b'x\nRUN+="/tmp/p"\n#', b'"; $(id) `id` %n%s', b"\x1b]0;title\x07\x1b[2J", b"\x9b31mred",
           b"\xff\xfe\xc0\xaf", b"../../../../etc/cron.d/x", b"\xe2\x80\xae backwards",
           b"\xc2\x9b31m", b"a\\x0a\\\"b", b"\x7f\x08\x08\x08"]
pytestmark = [pytest.mark.disks(main="2M", spare="1M", copy="2M"), pytest.mark.plain_only,
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", copy="COPY-0003")]


@pytest.fixture(autouse=True)
def no_files_stay() -> Iterator[None]:
    yield
    for place in (RULES, STATE):
        for file in place.glob("*"):
            file.unlink()


def patch_header(rig: Rig, field: tuple[int, int], value: bytes) -> None:
    media = rig.media("main")
    header = media.read(1, BLOB // SECTOR)
    assert seal(header) == header
    media.write(1, seal(patch(header, field, value)))


def patch_backup(path: Path, field: tuple[int, int] | None, value: bytes) -> None:
    """FIELD of the superblock in it; None: the spare's identity in its own header."""
    data = path.read_bytes()
    if field:
        data = data[:4096] + seal(patch(data[4096:8192], field, value)) + data[8192:]
    else:
        data = patch(data, (48, 200), value)
    path.write_bytes(data[:8] + struct.pack("<I", zlib.crc32(data[12:])) + data[12:])


def harmless(text: str, *, what: object) -> None:
    """Printable UTF-8, line by line, and nothing that turns the direction."""
    for line in text.splitlines():
        for c in line:
            assert unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs"), (what, text)
    assert "\nRUN" not in text, (what, text)


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    result = dmremap(*arguments)    # decodes both as UTF-8, strictly
    harmless(result.stdout, what=arguments)
    harmless(result.stderr, what=arguments)
    assert result.stderr.count("\n") <= 3, result
    return result


def files_are_harmless() -> None:
    """Names of files and mapped devices, and all that a rule could be made to say."""
    for place in (RULES, STATE, LET_GO, Path("/run/dm-remap")):
        for path in place.rglob("*"):
            assert re.fullmatch(r"[A-Za-z0-9_.:-]+", path.name), path
    for rule in RULES.iterdir():
        lines = [line for line in rule.read_text().splitlines() if not line.startswith("#")]
        assert len(lines) == 1, rule.read_text()
        assert re.fullmatch(r'SUBSYSTEM=="block", (ENV\{[A-Z_]+\}=="[A-Za-z0-9_.:-]+", )+'
                            r'ENV\{DM_REMAP_MASKED\}="1"', lines[0]), lines[0]
    for name in dm.devices():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", name), name


def show_all(rig: Rig, backup: Path) -> None:
    main, spare, copy = paths(rig, "main", "spare", "copy")
    for arguments in (["list"], ["check", spare], ["dump", spare], ["check", main],
                      ["activate", "--auto", main], ["activate", "--read-only", spare],
                      ["create", "new", main, copy], ["create", "new", copy, spare],
                      ["backup", spare, str(backup) + ".new"],
                      ["restore-backup", str(backup), copy],
                      ["restore-backup", str(backup), copy, "--older", "--main", main],
                      ["replace-main", spare, copy], ["replace-spare", main, copy],
                      ["resize", spare, copy], ["release", spare], ["release", main],
                      ["release", "--without-main", spare], ["release", "--without-spare", main],
                      ["status"]):
        call(*arguments)
        files_are_harmless()
        for name in dm.devices():
            call("status", name)
            call("show", name)
            call("deactivate", name)
    for arguments in (["list"], ["dump", spare], ["check", spare, "--all"]):
        result = call(*arguments, "--json")
        if result.returncode == OK:
            json.loads(result.stdout)
    Path(str(backup) + ".new").unlink(missing_ok=True)
    settle(rig, "main", "spare", "copy")


@pytest.mark.parametrize("guard", [True, False], ids=["guard", "no-guard"])
def test_no_field_of_a_disk_is_shown_raw(rig: Rig, tmp_path: Path, guard: bool) -> None:
    ext4_on_main(rig)
    create(rig, *([] if guard else ["--no-guard"]), "--backup", str(tmp_path / "first"))
    output("deactivate", "data")
    settle(rig)
    whole = {name: rig.media(name).whole() for name in ("main", "spare", "copy")}
    for number, value in enumerate(HOSTILE):
        foreign = number % 2 == 1    # whose set it is decides what is shown of it
        for name, image in whole.items():
            rig.media(name).write(0, image)
        backup = tmp_path / "backup"
        backup.write_bytes((tmp_path / "first").read_bytes())
        patch_supers(rig, LABEL, value)
        patch_supers(rig, IDENTITY, b"serial:" + value)
        if foreign:
            patch_supers(rig, HOST, b"another host's id"[:16])
        for field in (LABEL, IDENTITY, None):
            patch_backup(backup, field, value)
        if guard:
            patch_header(rig, HEADER_LABEL, value)
            patch_header(rig, HEADER_IDENTITY, b"serial:" + value)
        show_all(rig, backup)
        if guard:    # main alone: its header is all there is to show
            rig.media("spare").write(0, bytes(len(whole["spare"])))
            call("list")
            call("activate", paths(rig, "main")[0])


def test_a_label_without_an_end(rig: Rig, tmp_path: Path) -> None:
    """40 bytes, and no NUL: damage, not the bytes behind it."""
    ext4_on_main(rig)
    create(rig, "--backup", str(tmp_path / "backup"))
    output("deactivate", "data")
    settle(rig)
    patch_header(rig, HEADER_LABEL, b"h" * 40)
    patch_supers(rig, LABEL, b"s" * 40)
    patch_backup(tmp_path / "backup", LABEL, b"b" * 40)
    show_all(rig, tmp_path / "backup")
    assert all(found["name"].startswith("remap-") for found in sets())
    refused(6, "restore-backup", str(tmp_path / "backup"), paths(rig, "copy")[0])


def test_a_foreign_set_writes_no_rule(rig: Rig) -> None:
    """Row 1: root code from the label of a disk that was brought along."""
    ext4_on_main(rig)
    create(rig, "--no-guard")
    output("deactivate", "data")
    settle(rig)
    for rule in RULES.iterdir():
        rule.unlink()
    patch_supers(rig, LABEL, HOSTILE[0])
    patch_supers(rig, HOST, b"another host's id"[:16])
    rig.media("copy").write(0, rig.media("main").whole())
    rig.main.fail()
    drop_page_cache(str(rig.main.kernel_path))
    uuid, copy = sets()[0]["uuid"], paths(rig, "copy")[0]
    before = rig.media("spare").whole()
    assert "another host" in refused(REFUSED, "replace-main", uuid, copy, "--yes")
    assert rig.media("spare").whole() == before and not list(RULES.iterdir())
    rig.main.back()
    drop_page_cache(str(rig.main.kernel_path))
    # adopted, and the rule has nothing of the label in it
    rig.media("copy").write(0, bytes(len(before)))
    output("adopt-host", uuid)
    rig.media("copy").write(0, rig.media("main").whole())
    said = dmremap("replace-main", uuid, copy)    # a plan, and a question
    assert said.returncode == REFUSED and "COPY-0003" in said.stdout, said
    assert not list(RULES.iterdir())
    output("replace-main", uuid, copy, "--yes")
    files_are_harmless()
    assert "COPY-0003" in next(RULES.iterdir()).read_text()


def test_a_foreign_set_is_not_released(rig: Rig) -> None:
    """Its spare may name any disk of this host as its main: what it holds would be copied there."""
    ext4_on_main(rig)
    create(rig, "--no-guard")
    output("deactivate", "data")
    settle(rig)
    patch_supers(rig, HOST, b"another host's id"[:16])
    uuid, before = sets()[0]["uuid"], rig.media("main").whole()
    assert "adopt-host" in refused(REFUSED, "release", uuid, "--yes")
    settle(rig)
    assert rig.media("main").whole() == before and sets()[0]["state"] == "foreign"
    output("adopt-host", uuid)
    output("release", uuid, "--yes")


@pytest.mark.parametrize("gone", ["main", "spare"])
def test_a_member_of_a_foreign_set_is_not_ended(rig: Rig, gone: str) -> None:
    """The other one may be where they belong."""
    before_it_was_a_set = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    patch_supers(rig, HOST, b"another host's id"[:16])
    patch_header(rig, HEADER_HOST, b"another host's id"[:16])
    rig.media(gone).write(0, bytes(len(rig.media(gone).whole())))
    settle(rig)
    here = "spare" if gone == "main" else "main"
    before, order = rig.media(here).whole(), ("release", f"--without-{gone}", paths(rig, here)[0])
    told = refused(REFUSED, *order, "--yes")
    assert "another host" in told and "--foreign" in told
    settle(rig)
    assert rig.media(here).whole() == before
    output(*order, "--foreign", "--yes")
    settle(rig)
    assert sets() == []
    if gone == "spare":
        assert rig.media("main").whole() == before_it_was_a_set


@pytest.mark.parametrize("flag", [2, 4], ids=["creating", "releasing"])
def test_unfinished_sets_are_not_replaced(rig: Rig, flag: int) -> None:
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    rig.media("copy").write(0, rig.media("main").whole())
    spare = Spare.of(rig)
    for (replica, place), copy in spare.copies(0).items():
        if copy.valid:
            flags = struct.unpack_from("<I", copy.data, FLAGS)[0] | flag
            spare.write(replica, place, 0, copy.changed(FLAGS, struct.pack("<I", flags)).data)
    before = {name: rig.media(name).whole() for name in ("main", "spare", "copy")}
    for verb in ("replace-main", "replace-spare", "adopt-host", "resize"):
        arguments = [paths(rig, "copy")[0]] if verb != "adopt-host" else []
        assert "interrupted" in refused(REFUSED, verb, sets()[0]["uuid"], *arguments, "--yes")
    assert {name: rig.media(name).whole() for name in before} == before


@pytest.mark.parametrize("serial", ['a"b$c', "ab*cd", "ab%ncd", "ab\x1bcd", "äöüß", "a b c d"])
def test_hardware_that_a_rule_cannot_spell(rig: Rig, serial: str) -> None:
    """Refused before anything is written: a pattern in its stead would hide other disks."""
    hardware(rig, main=serial)
    ext4_on_main(rig)
    before = {name: rig.media(name).whole() for name in ("main", "spare")}
    result = call("create", "data", *paths(rig, "main", "spare"), "--no-guard", "--yes")
    assert result.returncode == REFUSED and "needs the guard" in result.stderr, result
    assert {name: rig.media(name).whole() for name in before} == before
    assert not list(RULES.iterdir()) and sets() == []


def test_the_name_of_a_file_is_data(rig: Rig, tmp_path: Path) -> None:
    """That of an image or a list, which another user may have given it."""
    name = "x\x1b[31m\x9b1m"
    place = tmp_path / name
    place.mkdir()
    backup, exported, bad, main, spare = (str(place / file) for file in
                                          ("backup", "exported", "bad", "main", "spare"))
    Path(bad).write_text("400\n")
    ext4_on_main(rig)
    create(rig)
    for arguments in (["backup", "data", backup], ["export", "data", exported],
                      ["import", "data", bad, "--yes"]):
        assert call(*arguments).returncode == OK
    output("deactivate", "data")
    settle(rig)
    Path(main).write_bytes(rig.media("main").whole())
    Path(spare).write_bytes(rig.media("spare").whole())
    for arguments in (["check", spare], ["dump", spare], ["check", main], ["check", backup],
                      ["restore-backup", backup, spare], ["restore-backup", backup, exported],
                      ["release", "--without-main", spare], ["release", "--without-spare", main],
                      ["release", main, spare, "--yes"], ["check", spare],
                      [name], ["list", f"--{name}"], [f"--{name}"], ["help", name], ["list", "-\x9b"]):
        call(*arguments)


def test_the_content_of_a_disk_names_itself(rig: Rig) -> None:
    """A file system's label, as create shows it."""
    main, spare = paths(rig, "main", "spare")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "data", main], check=True)
    settle(rig)
    for value in HOSTILE:
        image = rig.media("main").read(2, 2)
        rig.media("main").write(2, patch(image, (120, 16), value[:16]))
        call("create", "data", main, spare, "--dry-run")


def test_the_sentence_stays_one(rig: Rig) -> None:
    """Sanity of the search itself: what it must find it finds."""
    with pytest.raises(AssertionError):
        harmless("a\x1b[1m", what="escape")
    with pytest.raises(AssertionError):
        harmless("a\u202eb", what="direction")
    assert Block(bytes(4096)).valid is False
