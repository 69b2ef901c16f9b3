# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages: replies that reach the user and are true, failures that say why (row 12, O20)."""

import re
import time
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.made import check_data
from tests.scenarios.ondisk import BLOCK, SOFT, Spare, check_log

SECTORS = 2048
pytestmark = pytest.mark.disks(main="1M", spare="640K")

VERBS = ("ping", "help", "remap", "unremap", "clear", "verify", "save", "sync", "restore",
         "metadata_status", "freeze", "thaw")


@pytest.fixture
def device(rig: Rig) -> Iterator[Device]:
    rig.media("main").write(0, pattern(1, SECTORS))
    yield rig.create()


def fails(rig: Rig, text: str) -> str:
    """The message fails and the log says why; returns that line."""
    said = len(rig.log())
    with pytest.raises(OSError):
        rig.message("r0", text)
    lines = [line for line in rig.log()[said:] if "remap: " in line]
    assert lines, f"'{text}' failed without a word"
    return lines[-1]


def test_ping(rig: Rig, device: Device) -> None:
    """Also through dmsetup, whose users see it."""
    assert rig.message("r0", "ping") == "pong"
    assert rig.dmsetup("message", "r0", "0", "ping").stdout == "pong\n"


def test_help_lists_the_verbs(rig: Rig, device: Device) -> None:
    reply = rig.message("r0", "help")
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", reply), verb


def test_unknown_messages_name_the_known_ones(rig: Rig, device: Device) -> None:
    for text in ("nonsense", "PONG", "pingx", "remapp 5", "status", "pin"):
        line = fails(rig, text)
        assert "metadata_status" in line and text.split()[0] in line


def test_every_verb_counts_its_arguments(rig: Rig, device: Device) -> None:
    before = rig.media("spare").whole()
    for text in ("ping x", "help x", "remap", "remap 1 2 manual 3", "unremap", "unremap 1 2 3", "verify",
                 "verify 1 2", "save now", "sync 1", "restore x", "metadata_status x", "freeze 1",
                 "thaw 1", "clear all"):
        assert "usage" in fails(rig, text)
    assert rig.media("spare").whole() == before
    assert rig.status()["mode"] == "rw"


def test_bad_sectors_and_counts_change_nothing(rig: Rig, device: Device) -> None:
    """v3 took `remap 999999999999`."""
    before = rig.media("main").whole(), rig.media("spare").whole()
    for verb in ("remap", "unremap", "verify"):
        for sector in ("x", "-1", "1x", "0x10", "1.5", "", "99999999999999999999999", str(SECTORS),
                       "999999999999", "18446744073709551615"):
            if sector:
                fails(rig, f"{verb} {sector}")
    for verb in ("remap", "unremap"):
        for rest in ("0 0", "0 x", "0 -1", f"0 {SECTORS + 1}", f"{SECTORS - 1} 2", "1 1x",
                     "2047 18446744073709551615", "8 18446744073709551608"):
            fails(rig, f"{verb} {rest}")
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before
    assert rig.status()["used"] == 1


@pytest.mark.disks(main="1100M", spare="640K")
def test_more_than_a_message_may_name(rig: Rig) -> None:
    rig.create()
    assert "at most 2097152 sectors" in fails(rig, "remap 0 2097160")
    assert "at most 2097152 sectors" in fails(rig, "unremap 8 2097153")
    assert rig.status()["used"] == 1


def test_no_such_way_with_caches(rig: Rig, device: Device) -> None:
    before = rig.message("r0", "write_cache")
    assert "through, keep or auto" in fails(rig, "write_cache sometimes")
    assert rig.message("r0", "write_cache") == before


def test_remap_and_verify(rig: Rig, device: Device) -> None:
    """The reply of verify is where the data really lie."""
    data = bytearray(pattern(1, SECTORS))
    assert rig.message("r0", "verify 100") == "100 not remapped"
    assert rig.message("r0", "remap 100").startswith("remapped 100+1")
    reply = rig.message("r0", "verify 100")
    found = re.fullmatch(r"100 remapped slot=(\d+) spare_sector=(\d+)", reply)
    assert found, reply
    assert rig.media("spare").read(int(found[2])) == pattern(1, SECTORS)[51200:51712]
    assert rig.message("r0", "verify 101") == "101 not remapped"
    device.pwrite(100, pattern(2))
    data[51200:51712] = pattern(2)
    assert rig.media("spare").read(int(found[2])) == pattern(2)
    # ranges, again what is remapped already, and unreadable sectors
    rig.main.bad(205, kind="read")
    reply = rig.message("r0", "remap 99 120")
    assert "lost_sectors=1" in reply and "could not be read" in reply
    assert rig.message("r0", "verify 205").startswith("205 lost")
    assert rig.status()["lost_sectors"] == 1
    rig.main.clear()
    check_data(device, bytes(data), {205})
    rig.message("r0", f"remap {SECTORS - 1}")
    check_data(device, bytes(data), {205})
    rig.powercut()
    check_data(rig.create(), bytes(data), {205})


def test_unremap_and_clear(rig: Rig, device: Device) -> None:
    """Row 2: lossless, and honest about what stays."""
    data = bytearray(pattern(1, SECTORS))
    rig.message("r0", "remap 96 24")
    for sector in range(96, 120):
        device.pwrite(sector, pattern(sector))
        data[sector * 512:sector * 512 + 512] = pattern(sector)
    assert rig.message("r0", "unremap 97 2") == "unremapped 97+2"
    assert rig.message("r0", "verify 97") == "97 not remapped"
    assert rig.message("r0", "verify 96").startswith("96 remapped")
    check_data(device, bytes(data))
    assert rig.media("main").read(97, 2) == pattern(97) + pattern(98)
    rig.main.bad(110)
    fails(rig, "unremap 104 8")
    assert rig.message("r0", "verify 110").startswith("110 remapped")
    check_data(device, bytes(data))
    assert rig.message("r0", "clear") == "cleared kept=1"
    check_data(device, bytes(data))
    rig.main.clear()
    assert rig.message("r0", "clear") == "cleared kept=0"
    assert rig.status()["used"] == 1
    fails(rig, f"unremap {SECTORS - 8}")    # the probe chunk
    rig.powercut()
    check_data(rig.create(), bytes(data))


def test_save_really_writes(rig: Rig, device: Device) -> None:
    """v3's save reported success and wrote nothing."""
    spare = Spare.of(rig)
    rig.main.bad(100, kind="read")
    for _ in range(3):
        with pytest.raises(OSError):
            device.pread(100)
    rig.main.clear()
    errors = rig.status()["read_errors"]
    assert errors >= 3
    reply = rig.message("r0", "save")
    rig.server.powercut()    # what is on the media now is durable
    rig.server.power_on()
    best = spare.newest(spare.soft_block)
    assert best.magic == SOFT and spare.same_everywhere(spare.soft_block)
    assert struct.unpack_from("<Q", best.data, 56)[0] == errors
    assert f"generation={best.seq}" in reply
    status = rig.message("r0", "metadata_status")
    assert "last_save=never" not in status and "last_save=" in status
    rig.powercut()
    rig.create()
    assert rig.status()["read_errors"] == errors


def test_save_that_fails_says_so(rig: Rig, device: Device) -> None:
    spare = Spare.of(rig)
    for replica in (0, 1):
        rig.message("r0", "save")
        old = spare.newest(spare.soft_block).data
        failed = rig.status()["saves_failed"]
        rig.spare.bad(spare.next_sector(spare.soft_block, replica), 8)
        fails(rig, "save")
        assert rig.status()["saves_failed"] == failed + 1
        rig.spare.clear()
        assert any(c.data == old for c in spare.copies(spare.soft_block).values())
        rig.message("r0", "save")


def test_sync_rewrites_every_copy(rig: Rig, device: Device) -> None:
    """Torn and foreign bytes in any place are gone afterwards, and the content is the newest."""
    rig.message("r0", "remap 100 40")
    spare = Spare.of(rig)
    entries = spare.entries()
    for number in (0, 1):
        best = spare.newest(number)
        for replica, place in spare.copies(number):
            if (replica, place) != (0, spare.newest_place(number, 0)):
                spare.write(replica, place, number, best.data[:700] + b"\xee" * (BLOCK - 700))
    reply = rig.message("r0", "sync")
    found = re.fullmatch(r"synced blocks=(\d+) copies=(\d+)", reply)
    assert found and int(found[1]) == 1 + spare.layout.table_blocks and int(found[2]) >= 8
    rig.server.powercut()
    rig.server.power_on()
    for number in (0, 1):
        copies = spare.copies(number)
        assert all(copy.valid for copy in copies.values()), f"block {number}"
        assert spare.same_everywhere(number)
        if number:
            assert {tuple(copy.entries()) for copy in copies.values()} == {tuple(entries)}
    check_data(device, pattern(1, SECTORS))
    rig.remove()
    check_data(rig.create(), pattern(1, SECTORS))
    assert rig.status()["repaired"] == 0


def test_restore_repairs_the_media(rig: Rig, device: Device) -> None:
    rig.message("r0", "remap 100 40")
    spare = Spare.of(rig)
    for number in (0, 1):
        spare.write(1, spare.newest_place(number, 1), number, bytes(BLOCK))
    reply = rig.message("r0", "restore")
    assert re.fullmatch(r"restored generation=\d+ repaired=2", reply), reply
    for number in (0, 1):
        assert spare.same_everywhere(number)
    assert "repaired=0" in rig.message("r0", "restore")
    check_data(device, pattern(1, SECTORS))
    check_log(rig, spare)


@pytest.mark.disks(main="1M", spare="5M")
def test_restore_does_not_hold_up_a_relocation(rig: Rig) -> None:
    """A slow spare takes long to be compared; a failed write does not wait for all of it."""
    device = rig.create()
    rig.main.bad(800, 8, kind="write")
    rig.spare.delay("read", 100)
    restoring = rig.background(rig.message, "r0", "restore")
    time.sleep(0.3)
    device.pwrite(800, pattern(2, 8))
    assert not restoring.done()
    assert "repaired=0" in restoring.result(60)
    rig.spare.delay("read", 0)
    assert device.pread(800, 8) == pattern(2, 8)
    check_log(rig, Spare.of(rig))


def test_metadata_status(rig: Rig, device: Device) -> None:
    reply = rig.message("r0", "metadata_status")
    assert "\n" not in reply
    words = dict(word.split("=") for word in reply.split()[1:])
    assert reply.split()[0] == rig.status()["mode"]
    spare = Spare.of(rig)
    assert words["uuid"].replace("-", "") == spare.newest(0).uuid.hex()
    assert int(words["committed"]) == max(spare.newest(b).seq for b in (0, 1))
    assert words["replica0"] == words["replica1"] == "ok"
    rig.main.bad(100)
    device.pwrite(100, pattern(2))
    later = dict(word.split("=") for word in rig.message("r0", "metadata_status").split()[1:])
    assert int(later["committed"]) == spare.newest(1).seq > int(words["committed"])
    assert int(later["generation"]) >= int(later["committed"])
    rig.spare.bad(spare.next_sector(1, 1), 8)
    rig.main.bad(200)
    with pytest.raises(OSError):
        device.pwrite(200, pattern(3))
    last = dict(word.split("=") for word in rig.message("r0", "metadata_status").split()[1:])
    assert int(last["replica1_errors"]) > 0 and int(last["replica0_errors"]) == 0
    assert int(last["commit_failures"]) >= 1 and last["blocks_in_doubt"] == "1"
    assert "unsure" in (last["replica0"], last["replica1"])


def test_lost_sectors_of_this_request(rig: Rig, device: Device) -> None:
    """Row 17: not those that the set has from others."""
    rig.main.bad(101, kind="read")
    assert "lost_sectors=1 " in rig.message("r0", "remap 96 8")
    assert "lost_sectors=0" in rig.message("r0", "remap 200 8")
    assert rig.status()["lost_sectors"] == 1


def test_freeze_and_thaw(rig: Rig, device: Device) -> None:
    """Frozen: bad sectors are not remapped, by hand they are; what is mapped is served."""
    rig.message("r0", "remap 8")
    assert rig.message("r0", "freeze").startswith("frozen")
    assert rig.status()["mode"] == "frozen"
    rig.main.bad(100, kind="both")
    with pytest.raises(OSError):
        device.pwrite(100, pattern(2))
    assert rig.status()["used"] == 2
    device.pwrite(8, pattern(3))
    assert device.pread(8) == pattern(3)
    assert "remapped" in rig.message("r0", "remap 200")
    assert rig.message("r0", "thaw") == "thawed"
    assert rig.status()["mode"] == "rw"
    device.pwrite(100, pattern(2))
    assert device.pread(100) == pattern(2)


def test_suspended_device(rig: Rig, device: Device) -> None:
    """What needs the media says that the device is suspended; the rest answers."""
    before = rig.media("spare").whole()
    rig.suspend()
    written = rig.media("spare").whole()
    assert written[:BLOCK] == before[:BLOCK]
    for verb in ("remap 100", "unremap 8", "clear", "save", "sync", "restore"):
        assert "suspended" in fails(rig, verb)
    assert rig.message("r0", "ping") == "pong"
    assert "remap" in rig.message("r0", "help")
    assert rig.media("spare").whole() == written
    rig.resume()
    assert "saved" in rig.message("r0", "save")


def test_replies_are_short(rig: Rig, device: Device) -> None:
    """O20: libdevmapper repeats a message whose reply does not fit; and it is one line."""
    rig.message("r0", "remap 0 400")
    for text in ("ping", "help", "remap 600", "remap 600 8", "unremap 600 8", "verify 0",
                 "verify 2000", "save", "sync", "restore", "metadata_status", "freeze", "thaw",
                 "clear"):
        reply = rig.message("r0", text)
        assert 0 < len(reply) < 4096, text
        assert "\n" not in reply
        assert len(rig.dmsetup("message", "r0", "0", *text.split()).stdout) < 4096


def test_spare_too_small_for_a_range(rig: Rig, device: Device) -> None:
    """The message fails with a reason; what was copied until then is right."""
    line = fails(rig, f"remap 0 {SECTORS}")
    assert "failed" in line
    assert any("full" in text for text in rig.log())
    status = rig.status()
    assert status["mode"] == "full" and status["used"] == status["total"]
    check_data(device, pattern(1, SECTORS))
    rig.powercut()
    check_data(rig.create(), pattern(1, SECTORS))


def test_dead_main_loses_nothing(rig: Rig, device: Device) -> None:
    """P5: a remap of sectors of a disk that is gone fails; no sector is called lost."""
    rig.main.fail()
    fails(rig, "remap 100 8")
    rig.main.back()
    assert rig.status()["lost_sectors"] == 0
    assert rig.status()["used"] == 1
    check_data(device, pattern(1, SECTORS))


def test_errno_of_failures(rig: Rig, device: Device) -> None:
    """What a program sees, for it cannot read the log."""
    for text, number in (("nonsense", 22), ("remap x", 22), (f"remap {SECTORS}", 34),
                         (f"remap 0 {SECTORS}", 28)):
        with pytest.raises(OSError) as caught:
            dm.message("r0", text)
        assert caught.value.errno == number, text


def test_sysfs_agrees_with_status(rig: Rig, device: Device) -> None:
    """Row 7, where the module offers it: the same facts, one a file."""
    place = Path(f"/sys/block/{Path(device.path).name}/remap")
    if not place.is_dir():
        pytest.skip("this module has no sysfs directory")
    rig.message("r0", "remap 100 40")
    status = rig.status()
    compared = 0
    for name, value in status.items():
        file = place / name
        if file.is_file():
            assert file.read_text().strip() == str(value), name
            compared += 1
    assert compared >= 5, [f.name for f in place.iterdir()]


def causes(rig: Rig) -> dict[int, int]:
    """Chunk -> cause, as it lies on the media."""
    return {entry.chunk: entry.cause for entry in Spare.of(rig).entries()}


def test_remap_records_who_asked(rig: Rig, device: Device) -> None:
    """On the media, also after a reload; a cause that only the kernel gives is refused."""
    for chunk, words in ((10, ""), (11, " 8 manual"), (12, " 8 rescue"), (13, " 8 import")):
        rig.message("r0", f"remap {8 * chunk}{words}")
    for word in ("guard", "probe", "Manual", "rescuer", "3"):
        assert word in fails(rig, f"remap 200 8 {word}")
    want = {10: 3, 11: 3, 12: 2, 13: 4, Spare.of(rig).probe_chunk(): 5}
    assert causes(rig) == want
    rig.reload()
    rig.message("r0", "sync")
    assert causes(rig) == want


def test_clear_leaves_what_hides_signatures(rig: Rig, device: Device) -> None:
    """Unremapping it would show main's file system twice: not even by name."""
    rig.message("r0", "remap 80 8")
    rig.message("r0", "remap 160 8")
    slot = next(e.slot for e in Spare.of(rig).entries() if e.chunk == 10)
    rig.remove()
    spare = Spare.of(rig)
    newest = spare.newest(1).changed(64 + 16 * slot + 13, b"\x06")    # cause: guard
    places = [spare.newest_place(1, replica) for replica in (0, 1)]
    for replica, place in enumerate(places):
        spare.write(replica, place, 1, newest.data)
    device = rig.create()
    assert rig.message("r0", "clear").startswith("cleared kept=0 guard=1")
    assert rig.message("r0", "verify 80").startswith("80 remapped")
    assert rig.message("r0", "verify 160") == "160 not remapped"
    for arguments in ("80 8", "80", "83 2", "72 24"):
        with pytest.raises(PermissionError):
            rig.message("r0", f"unremap {arguments}")
    assert rig.message("r0", "verify 80").startswith("80 remapped")
    check_data(device, pattern(1, SECTORS))
