# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel formats, what it leaves alone, and what a crash in between leaves (C14, P7)."""

import random
import struct
import subprocess

import pytest

from tests.harness.blockd import FUA, Record
from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Rig, drop_page_cache, pattern
from tests.scenarios.made import check_data
from tests.scenarios.ondisk import MARKED, Spare, mark_of
from tests.scenarios.powercuts import images_after

MIB = 1 << 20

# (what the log must call it, [(offset, bytes), ...]): where wipefs would look
FOREIGN = {
    "btrfs": [(0x10040, b"_BHRfS_M")],
    "md array (metadata 1.2)": [(4096, struct.pack("<II", 0xA92B4EFC, 1))],
    "md array (metadata 1.1)": [(0, struct.pack("<II", 0xA92B4EFC, 1))],
    "ZFS": [(16384, bytes.fromhex("010100000000000000000001")),
            (0x20000, struct.pack("<Q", 0x00BAB10C))],
    "ISO 9660": [(32768, b"\1CD001\1")],
    "ext4": [(1080, b"\x53\xef")],
    "XFS": [(0, b"XFSB")],
    "LVM": [(512, b"LABELONE"), (512 + 24, b"LVM2 001")],
    "LUKS": [(0, b"LUKS\xba\xbe\0\2")],
    "bcachefs": [(4096 + 24, bytes.fromhex("c68573f666ce90a9"))],
    "bcache device": [(4096 + 24, bytes.fromhex("c68573f64e1a45ca"))],
    "swap": [(4086, b"SWAPSPACE2")],
    "GPT": [(510, b"\x55\xaa"), (512, b"EFI PART")],
    "MBR": [(446, b"\x80"), (510, b"\x55\xaa")],
    "FAT": [(54, b"FAT16   "), (510, b"\x55\xaa")],
    "NTFS": [(3, b"NTFS    "), (510, b"\x55\xaa")],
    "dm-remap v3": [(0, b"DMREMAP3" + bytes(8) + b"\1")],
    "dm-remap-v4": [(0, struct.pack("<I", 0x444D5234))],
    "the main device of a dm-remap set": [(510, b"\x55\xaa"), (512, b"dmRemapM")],
}
# without a name, for it lies at the end: refused all the same
AT_THE_END = {"md 1.0": (-8192, struct.pack("<I", 0xA92B4EFC)),
              "GPT backup": (-512, b"EFI PART"),
              "ZFS label 3": (-262144 + 0x20000, struct.pack("<Q", 0x00BAB10C)),
              "ddf": (-512, b"\xde\x11\xde\x11")}


def refused_untouched(rig: Rig, sentence: str, what: str) -> None:
    before = rig.media("main").whole(), rig.media("spare").whole()
    records = len(rig.server.log())
    said = len(rig.log())
    with pytest.raises(OSError):
        rig.create()
    lines = [line for line in rig.log()[said:] if "remap: " in line]
    assert any(sentence in line for line in lines), f"{what}: {lines}"
    assert dm.devices() == []
    written = [r for r in rig.server.log()[records:] if r.kind in ("write", "trim")]
    assert not written, f"{what}: {len(written)} writes, first at {written[0].sector}"
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before, what


def put(rig: Rig, offset: int, data: bytes) -> None:
    """Write bytes anywhere on the spare's media."""
    size = rig.spare.size_bytes
    offset %= size
    first = offset // SECTOR
    media = rig.media("spare")
    old = media.read(first, (offset % SECTOR + len(data) + SECTOR - 1) // SECTOR)
    at = offset % SECTOR
    media.write(first, old[:at] + data + old[at + len(data):])


@pytest.mark.disks(main="1M", spare="4M")
def test_foreign_content_is_refused_by_name(rig: Rig) -> None:
    """P7: nothing is written, and the log says what lies there."""
    for name, parts in FOREIGN.items():
        rig.media("spare").write(0, bytes(256 * 1024))
        for offset, data in parts:
            put(rig, offset, data)
        refused_untouched(rig, name, name)
    rig.media("spare").write(0, bytes(256 * 1024))
    for name, (offset, data) in AT_THE_END.items():
        put(rig, offset, data)
        refused_untouched(rig, "not blank", name)
        put(rig, offset, bytes(len(data)))
    rig.create()    # and nothing of it stuck


@pytest.mark.disks(main="1M", spare="400M")
@pytest.mark.parametrize("command,name", [
    ("mkfs.ext4 -q -F", "ext4"), ("mkfs.ext2 -q -F", "ext"), ("mkfs.xfs -q -f", "XFS"),
    ("mkswap", "swap"), ("mkfs.minix", ""), ("mkfs.btrfs -q -f", "btrfs"),
    ("pvcreate -q -ff -y", "LVM")])
def test_what_real_tools_make_is_refused(rig: Rig, command: str, name: str) -> None:
    """P7, with the signatures that the tools of this machine really write."""
    path = str(rig.spare.kernel_path)
    # what is not there is installed by tests/setup; a tool that refuses is no reason to pass
    result = subprocess.run([*command.split(), path], capture_output=True, text=True)
    assert result.returncode == 0, result
    rig.spare.destage()
    drop_page_cache(path)
    head = rig.media("spare").read(0, 2048)
    records = len(rig.server.log())
    with pytest.raises(OSError):
        rig.create()
    assert name in "\n".join(rig.log())
    assert not [r for r in rig.server.log()[records:] if r.kind in ("write", "trim")]
    assert rig.media("spare").read(0, 2048) == head


@pytest.mark.disks(main="1M", spare="6M")
def test_one_byte_is_enough(rig: Rig, rng: random.Random) -> None:
    """C14: anywhere in the metadata area of both replicas, the first and the last MiB."""
    size = rig.spare.size_bytes
    spare = Spare.of(rig)
    offsets = [0, 511, 4095, MIB - 1, size - MIB, size - 1]
    for replica in (0, 1):
        first, count = spare.replica_sectors(replica)
        offsets += [first * SECTOR, (first + count) * SECTOR - 1]
        offsets += [first * SECTOR + rng.randrange(count * SECTOR) for _ in range(12)]
    offsets += [rng.randrange(MIB) for _ in range(12)]
    offsets += [size - 1 - rng.randrange(MIB) for _ in range(12)]
    for offset in offsets:
        put(rig, offset, bytes([1 << rng.randrange(8)]))
        said = len(rig.log())
        with pytest.raises(OSError):
            rig.create()
        assert any(f"sector {offset // SECTOR // 8 * 8} is not zero" in line
                   for line in rig.log()[said:]), f"byte {offset}"
        put(rig, offset, b"\0")
    assert not [r for r in rig.server.log() if r.kind == "write"]
    # what lies in between is no signature
    put(rig, 3 * MIB, b"old content")
    rig.create()
    assert rig.media("spare").read(3 * MIB // SECTOR)[:11] == b"old content"


@pytest.mark.disks(main="1M", spare="6M")
def test_a_spare_that_cannot_be_read_is_not_blank(rig: Rig) -> None:
    """C14."""
    for sector in (0, 100, 2000, rig.spare.size_bytes // SECTOR - 1):
        rig.spare.bad(sector, kind="read")
        said = len(rig.log())
        with pytest.raises(OSError):
            rig.create()
        assert "cannot" in "\n".join(rig.log()[said:])
        rig.spare.clear()
    assert not [r for r in rig.server.log() if r.kind == "write"]


@pytest.mark.disks(main="1M", spare="320K")
def test_read_only_table_formats_nothing(rig: Rig) -> None:
    """O19."""
    with pytest.raises(OSError):
        rig.create(read_only=True)
    assert "read-only" in "\n".join(rig.log())
    assert not [r for r in rig.server.log() if r.kind == "write"]


@pytest.mark.disks(main="1M", spare="320K")
@pytest.mark.parametrize("length", (2048, 2047, 2041, 16, 8))
def test_data_of_main_stays(rig: Rig, length: int) -> None:
    """Row 19, E5: every sector, also of the probe chunk and of a last chunk that is not whole."""
    data = pattern(1, 2048)
    rig.media("main").write(0, data)
    check_data(rig.create(length=length), data[:length * SECTOR])
    spare = Spare.of(rig)
    assert spare.probe_chunk() == length // 8 - 1
    assert mark_of(rig.media("main"), spare.probe_chunk())
    rig.remove()
    assert rig.media("main").read(0, spare.probe_chunk() * 8) == data[:spare.probe_chunk() * 4096]
    device = rig.create(length=length)
    check_data(device, data[:length * SECTOR])
    device.pwrite(length - 1, pattern(2))
    rig.remove()
    check_data(rig.create(length=length), data[:(length - 1) * SECTOR] + pattern(2))


@pytest.mark.disks(main="1M", spare="320K")
def test_bad_sectors_at_the_end_of_main(rig: Rig) -> None:
    """E5: the probe chunk is the last that can be written; without one nothing is formatted."""
    data = pattern(1, 2048)
    rig.media("main").write(0, data)
    rig.main.bad(2048 - 64 * 8, 64 * 8)
    with pytest.raises(OSError):
        rig.create()
    assert "can be read and written" in "\n".join(rig.log())
    assert rig.media("main").whole() == data
    rig.main.clear()
    rig.main.bad(2048 - 20 * 8, 20 * 8)
    check_data(rig.create(), data)
    assert Spare.of(rig).probe_chunk() == 256 - 21
    rig.remove()
    rig.main.clear()
    check_data(rig.create(), data)


@pytest.mark.disks(main="512K", spare="320K")
def test_power_cut_while_formatting(rig: Rig, rng: random.Random) -> None:
    """C14: at each write and at each sector of it; data of main is right whatever is found."""
    data = pattern(1, 1024)
    rig.media("main").write(0, data)
    before = {0: bytearray(data), 1: bytearray(320 * 1024)}
    rig.create()
    records = [r for r in rig.server.log() if r.kind in ("write", "flush")]
    rig.remove()
    writes = [r for r in records if r.kind == "write"]
    assert len(writes) >= 8
    formatted = loaded = 0
    for end in range(len(records) + 1):
        cuts = [records[:end]]
        if end < len(records) and records[end].sectors > 1:
            r = records[end]
            cuts += [records[:end] + [Record(r.kind, r.flags | FUA, r.disk, r.sector, n, r.ns,
                                             r.data[:n * SECTOR])]
                     for n in sorted({1, 2, 7, 8, 9, r.sectors - 1}) if n < r.sectors]
        for cut in cuts:
            for how in ("all", "durable", "random"):
                images = images_after(cut, before, how, rng)
                what = f"cut after {len(cut)} of {len(records)}, {how}"
                if images[0] != data:
                    assert b"dmRemapS" in images[1], f"{what}: main was written first"
                rig.media("main").write(0, images[0])
                rig.media("spare").write(0, images[1])
                said = len(rig.log())
                try:
                    device = rig.create()
                except OSError as error:
                    raise AssertionError(f"{what}: {error} {rig.log()[said:]}") from None
                if any("formatted as" in line for line in rig.log()[said:]):
                    formatted += 1
                else:
                    loaded += 1
                check_data(device, data)
                assert rig.status()["used"] == 1, what
                rig.remove()
    assert formatted > 10 and loaded > 10


@pytest.mark.disks(main="512K", spare="320K")
@pytest.mark.parametrize("action", ("error", "landed", "torn"))
def test_error_while_formatting(rig: Rig, action: str) -> None:
    """C14, P7: each write failing; refused with a reason, and whole at the next try."""
    data = pattern(1, 1024)
    rig.media("main").write(0, data)
    rig.create()
    writes = {(r.disk, r.sector, r.sectors) for r in rig.server.log() if r.kind == "write"}
    rig.remove()
    for disk, sector, sectors in sorted(writes):
        rig.media("main").write(0, data)
        rig.media("spare").write(0, bytes(320 * 1024))
        faulty = (rig.main, rig.spare)[disk]
        faulty.bad(sector, sectors, action=action)
        said = len(rig.log())
        try:
            device = rig.create()
        except OSError:
            assert "cannot" in "\n".join(rig.log()[said:]), (disk, sector)
        else:
            assert disk == 0, f"formatted although sector {sector} of the spare failed"
            check_data(device, data)
            rig.remove()
        faulty.clear()
        check_data(rig.create(), data)
        rig.remove()
        rig.powercut()
        check_data(rig.create(), data)
        rig.remove()
    # the flushes between the steps count as well
    for number in range(4):
        rig.media("main").write(0, data)
        rig.media("spare").write(0, bytes(320 * 1024))
        rig.spare.fail_flushes(number)
        try:
            rig.create()
        except OSError:
            assert rig.media("main").whole() == data, "the mark before the superblock"
        else:
            assert number == 0, "a failed flush was ignored"
            rig.remove()
        rig.spare.fail_flushes(0)
        check_data(rig.create(), data)
        rig.remove()


@pytest.mark.disks(main="512K", spare="320K")
def test_disk_dies_while_formatting(rig: Rig) -> None:
    """P7: the spare or main goes away at some moment; nothing of main is lost."""
    data = pattern(1, 1024)
    rig.media("main").write(0, data)
    spare = Spare.of(rig)
    for at, dying in ((spare.sector(0, 0, 1), rig.spare), (spare.sector(1, 0, 1), rig.spare),
                      (spare.slot_sector(0), rig.main), (spare.sector(0, 0, 0), rig.main),
                      (spare.sector(1, 0, 0), rig.spare), (spare.sector(1, 0, 0), rig.main)):
        rig.media("main").write(0, data)
        rig.media("spare").write(0, bytes(320 * 1024))
        rig.spare.hold("write", at, 8)
        creating = rig.background(rig.create)
        while not rig.spare.held() and not creating.done():
            pass
        dying.fail()
        rig.spare.release()
        with pytest.raises(OSError):
            creating.result(timeout=30)
        assert dm.devices() == []
        dying.back()
        check_data(rig.create(), data)
        rig.remove()


@pytest.mark.disks(main="512K", spare="320K")
def test_the_superblock_says_when_main_is_marked(rig: Rig) -> None:
    """FORMAT.md section 8: the mark follows the superblock, the flag follows the mark."""
    rig.create()
    spare = Spare.of(rig)
    order = []
    for r in rig.server.log():
        if r.kind == "write" and r.data[:8] == b"dmRemapP":
            order.append("mark")
        elif r.kind == "write" and r.data[:8] == b"dmRemapS":
            flags = struct.unpack_from("<I", r.data, 52)[0]
            order.append("marked" if flags & MARKED else "superblock")
    assert order[:5] == ["superblock", "superblock", "mark", "marked", "marked"]
    uuid = spare.newest(0).uuid
    mark = mark_of(rig.media("main"), spare.probe_chunk())
    assert mark and mark[0] == uuid


@pytest.mark.disks(main="512K", spare="320K")
@pytest.mark.parametrize("flag,word", [(2, "creation"), (4, "release")])
def test_a_set_that_is_being_made_or_undone_is_refused(rig: Rig, flag: int, word: str) -> None:
    """FORMAT.md section 7: what main shows then is no content."""
    rig.create()
    rig.remove()
    spare = Spare.of(rig)
    changed = spare.newest(0).changed(52, struct.pack("<I", MARKED | flag)).data
    for replica, place in enumerate([spare.newest_place(0, replica) for replica in range(2)]):
        spare.write(replica, place, 0, changed)
    before = rig.media("spare").whole(), rig.media("main").whole()
    with pytest.raises(OSError):
        rig.create()
    assert f"the {word} of this set was interrupted" in "\n".join(rig.log())
    assert (rig.media("spare").whole(), rig.media("main").whole()) == before
