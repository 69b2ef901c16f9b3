# SPDX-License-Identifier: GPL-2.0-or-later
"""Events and dumps by generic netlink: complete, numbered without gaps, true (row 26)."""

import errno
import os
import time
from collections.abc import Iterator

import pytest

from tests.scenarios import dm
from tests.scenarios.genl import Genl, Message
from tests.scenarios.lib import Device, Rig, pattern, wait_for
from tests.scenarios.ondisk import Spare

pytestmark = pytest.mark.disks(main="1M", spare="640K")
MAIN, SPARE = 1, 2
IOERR = 1
READ, WRITE = 1, 2
FULL, FROZEN, DISABLED = 4, 5, 6


@pytest.fixture
def listener() -> Iterator[Genl]:
    socket = Genl()
    socket.join()
    yield socket
    socket.close()


def number(device: Device) -> dict[str, int]:
    status = os.stat(device.path)
    return {"major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev)}


def only(events: list[Message], kind: str) -> Message:
    found = [event for event in events if event["event"] == kind]
    assert len(found) == 1, events
    return found[0]


def gapless(events: list[Message]) -> bool:
    numbers = [event["event_seq"] for event in events]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_life_of_a_device(rig: Rig, listener: Genl) -> None:
    device = rig.create()
    uuid = Spare.of(rig).newest(0).uuid
    events = listener.wait_for("loaded")
    rig.main.bad(800, 3, kind="write")
    device.pwrite(799, pattern(1, 8))
    events += listener.wait_for("relocated")
    rig.remove()
    events += listener.wait_for("unloaded")
    assert gapless(events) and events[0]["event_seq"] == 1
    for event in events:
        assert event["name"] == "r0" and event["uuid"] == uuid
        assert event["total_slots"] == 96 and event["mode"] == "rw"
        assert 1e18 < event["time"] < 4e18
    told = only(events, "relocated")
    # whole runs of the failed write in one chunk: 800 to 806
    assert (told["sector"], told["nr_sectors"]) == (800, 7)
    assert told["member"] == MAIN and told["status"] == IOERR and told["used_slots"] == 2
    entries = {entry.slot: entry for entry in Spare.of(rig).entries() if entry.state}
    assert entries[told["slot"]].chunk == 100


def test_messages_and_counters(rig: Rig, listener: Genl) -> None:
    device = rig.create()
    rig.main.bad(17, kind="read")
    rig.message("r0", "remap 16 4")
    told = only(listener.wait_for("remapped"), "remapped")
    assert (told["sector"], told["nr_sectors"], told["lost_sectors"]) == (16, 4, 1)
    assert told["cause"] == 3
    rig.main.clear()
    device.pwrite(17, pattern(2))
    rig.message("r0", "unremap 16 4")
    told = only(listener.wait_for("unremapped"), "unremapped")
    assert (told["sector"], told["nr_sectors"]) == (16, 4)
    rig.message("r0", "save")
    assert "status" not in only(listener.wait_for("saved"), "saved")


def test_errors_that_map_nothing(rig: Rig, listener: Genl) -> None:
    device = rig.create()
    rig.main.bad(40, kind="both")
    with pytest.raises(OSError):
        device.pread(40, 2)
    told = only(listener.wait_for("read_error"), "read_error")
    assert told["sector"] == 40 and told["member"] == MAIN and told["status"] == IOERR
    assert told["operation"] == READ
    rig.message("r0", "freeze")
    assert only(listener.wait_for("mode"), "mode")["old_mode"] == "rw"
    with pytest.raises(OSError):
        device.pwrite(40, pattern(1))
    told = only(listener.wait_for("refused"), "refused")
    assert told["reason"] == FROZEN and told["sector"] == 40 and told["mode"] == "frozen"
    assert told["operation"] == WRITE
    rig.message("r0", "thaw")
    told = only(listener.wait_for("mode"), "mode")
    assert (told["old_mode"], told["mode"]) == ("frozen", "rw")


def test_an_error_that_the_worker_meets(rig: Rig, listener: Genl) -> None:
    """A chunk is in doubt, so the worker reads what of it is certain; and that is bad."""
    device = rig.create()
    spare = Spare.of(rig)
    rig.main.bad(800, 2, kind="write")
    device.pwrite(800, pattern(1))
    slot = only(listener.wait_for("relocated"), "relocated")["slot"]
    rig.spare.bad(spare.next_sector(1, 1), 8, kind="write")
    with pytest.raises(OSError):
        device.pwrite(801, pattern(2))
    listener.wait_for("commit_failed")
    assert rig.status()["blocks_in_doubt"] == 1 and device.pread(800) == pattern(1)
    rig.spare.bad(spare.slot_sector(slot), kind="read")
    with pytest.raises(OSError):
        device.pread(800)
    told = only(listener.wait_for("read_error"), "read_error")
    assert (told["sector"], told["nr_sectors"], told["member"]) == (800, 1, SPARE)
    assert (told["status"], told["operation"]) == (IOERR, READ)
    assert rig.status()["blocks_in_doubt"] == 1 and rig.status()["spare_read_errors"] == 1


def test_a_spare_that_fills_up(rig: Rig, listener: Genl) -> None:
    device = rig.create()
    total = rig.status()["total"]
    rig.main.bad(0, 200 * 8, kind="write")
    events: list[Message] = []
    for chunk in range(total - 1):
        device.pwrite(8 * chunk, pattern(chunk, 8))
    events = listener.wait_for("spare_full")
    assert only(events, "spare_full")
    with pytest.raises(OSError):
        device.pwrite(8 * total, pattern(0))
    events += listener.wait_for("refused")
    assert only(events, "refused")["reason"] == FULL
    assert gapless(events)


def test_failing_commits(rig: Rig, listener: Genl) -> None:
    device = rig.create()
    spare = Spare.of(rig)
    rig.main.bad(40, kind="write")
    for replica in range(2):
        start, count = spare.replica_sectors(replica)
        rig.spare.bad(start, count, kind="write")
    with pytest.raises(OSError):
        device.pwrite(40, pattern(1))
    events = listener.wait_for("commit_failed")
    if not any(event["event"] == "mode" for event in events):
        events += listener.wait_for("mode")
    assert only(events, "mode")["mode"] == "meta_fail"
    rig.spare.clear()


def test_nothing_is_numbered_for_nobody(rig: Rig) -> None:
    device = rig.create()
    rig.main.bad(40, kind="read")
    for _ in range(5):
        with pytest.raises(OSError):
            device.pread(40)
    socket = Genl()
    assert socket.dump("get_devices")[0]["event_seq"] == 0
    socket.join()
    with pytest.raises(OSError):
        device.pread(40)
    assert only(socket.wait_for("read_error"), "read_error")["event_seq"] == 1
    socket.close()


def test_dumps_agree(rig: Rig) -> None:
    device = rig.create()
    rig.main.bad(80, 80, kind="write")
    for chunk in (10, 12, 14, 15):
        device.pwrite(8 * chunk + 2, pattern(chunk, 3))
    rig.main.bad(240, kind="read")
    rig.message("r0", "remap 240 8")
    socket = Genl()
    status = rig.status()
    line, = socket.dump("get_devices")
    assert (line["name"], line["mode"]) == ("r0", "rw")
    assert number(device).items() <= line.items()
    assert (line["used_slots"], line["total_slots"], line["lost_sectors"], line["bad_slots"]) == \
        (status["used"], status["total"], status["lost_sectors"], status["bad_slots"])
    counters, = socket.dump("get_counters")
    for key in ("read_errors", "write_errors", "relocations", "rejected", "saves_ok",
                "commit_failures"):
        assert counters[key] == status[key], key
    slots = {line["slot"]: (line["chunk"], line["redirected"], line["lost"], line["cause"])
             for line in socket.dump("get_remaps", **number(device))}
    on_disk = {entry.slot: (entry.chunk, entry.redirected, entry.lost, entry.cause)
               for entry in Spare.of(rig).entries() if entry.state}
    assert slots == on_disk and len(slots) == 6
    socket.close()


def test_a_dump_of_nothing_in_particular(rig: Rig) -> None:
    """Of the remaps of which device?"""
    rig.create()
    genl = Genl()
    for asked in ({}, {"major": 1}, {"minor": 1}):
        with pytest.raises(OSError) as caught:
            genl.dump("get_remaps", **asked)
        assert caught.value.errno == errno.EINVAL
    genl.close()


def test_repaired_copies_are_told(rig: Rig, listener: Genl) -> None:
    rig.create()
    rig.message("r0", "remap 800 8")
    rig.remove()
    spare = Spare.of(rig)
    spare.write(1, spare.newest_place(1, 1), 1, bytes(4096))
    listener.events()
    rig.create()
    assert only(listener.events(), "repaired")["copies"] in (1, 2)    # one, or its twin as well


def test_a_dump_of_more_than_one_message(rig: Rig) -> None:
    device = rig.create()
    rig.message("r0", "remap 0 720")
    socket = Genl()
    lines = socket.dump("get_remaps", **number(device))
    assert sorted(line["slot"] for line in lines) == list(range(91))
    assert {line["chunk"] for line in lines} == {*range(90), 255}
    with pytest.raises(OSError) as caught:
        socket.dump("get_remaps", major=1, minor=1)
    assert caught.value.errno == errno.ENODEV
    socket.close()


@pytest.mark.disks(main="1M", spare="640K", main2="1M", spare2="640K")
def test_two_targets_in_one_device(rig: Rig) -> None:
    """The slots of both, each with its set; and of one that is asked for."""
    main2, spare2 = (rig.server.disk(name).kernel_path for name in ("main2", "spare2"))
    device = rig.create(table=f"{rig.table()}\n2048 2048 remap {main2} {spare2} 0 1280")
    dm.message("r0", "remap 0 80", sector=0)
    dm.message("r0", "remap 0 160", sector=2048)
    socket = Genl()
    lines = socket.dump("get_remaps", **number(device))
    sets = {line["uuid"] for line in lines}
    count = {uuid: sum(line["uuid"] == uuid for line in lines) for uuid in sets}
    assert sorted(count.values()) == [11, 21]
    for uuid in sets:
        own = socket.dump("get_remaps", **number(device), uuid=uuid)
        assert {line["uuid"] for line in own} == {uuid} and len(own) == count[uuid]
    socket.close()


def test_many_devices(rig: Rig) -> None:
    for index in range(10):
        rig.create(f"r{index}", table=f"0 128 linear {rig.main.kernel_path} 0" if index else None)
    socket = Genl()
    assert [line["name"] for line in socket.dump("get_devices")] == ["r0"]
    rig.suspend("r0")
    assert socket.dump("get_devices") == []
    rig.resume("r0")
    assert [line["name"] for line in socket.dump("get_counters")] == ["r0"]
    socket.close()


def test_a_flood_is_seen_as_a_gap(rig: Rig, listener: Genl) -> None:
    device = rig.create()
    listener.receive_buffer(4096)
    rig.main.bad(0, 2000, kind="read")
    for sector in range(300):
        with pytest.raises(OSError):
            device.pread(sector)
    with pytest.raises(OSError) as caught:
        for _ in range(300):
            listener.events()
    assert caught.value.errno == errno.ENOBUFS
    socket = Genl()
    assert socket.dump("get_devices")[0]["event_seq"] >= 300
    assert socket.dump("get_counters")[0]["read_errors"] == rig.status()["read_errors"]
    socket.close()


def test_reload_and_removal_under_a_storm(rig: Rig, listener: Genl) -> None:
    device = rig.create()
    rig.main.bad(0, 2000, kind="read")

    def storm() -> None:
        for sector in range(200):
            with pytest.raises(OSError):
                device.pread(sector)

    running = rig.background(storm)
    for _ in range(5):
        rig.reload()
        Genl().close()
    running.result()
    rig.remove()
    events = listener.events()
    while events[-1]["event"] != "unloaded" or \
            len([e for e in events if e["event"] == "loaded"]) < 6:
        events += listener.events()
    # each instance begins with `loaded` and number 1, and has no gaps
    starts = [index for index, event in enumerate(events) if event["event"] == "loaded"]
    for start, end in zip(starts, [*starts[1:], len(events)], strict=True):
        assert events[start]["event_seq"] == 1
        assert gapless(events[start:end])
        assert events[end - 1]["event"] == "unloaded"


@pytest.mark.disks(main="1M", spare="640K:vcache=off")
def test_a_spare_that_hangs_holds_no_event_up(rig: Rig, listener: Genl) -> None:
    """P9: what runs by the timer waits for a save that waits; events go out beside it."""
    device = rig.create()
    rig.main.bad(40, kind="read")
    rig.spare.hold("write", 0, rig.spare.size_bytes // 512)
    saving = rig.background(lambda: rig.message("r0", "save"))
    time.sleep(7)    # the timer runs every five seconds
    with pytest.raises(OSError):
        device.pread(40)
    listener.wait_for("read_error")
    assert not saving.done()
    rig.spare.release()
    saving.result()


def test_the_listener_decides_when_to_save(rig: Rig, listener: Genl) -> None:
    """The kernel's own timer saves only while there is no listener."""
    interval = "/sys/module/dm_remap/parameters/dm_remap_autosave_interval"
    with open(interval, "w") as file:
        file.write("1")
    device = rig.create()
    rig.main.bad(40, kind="read")
    with pytest.raises(OSError):
        device.pread(40)
    before = rig.status()["saves_ok"]
    with pytest.raises(AssertionError):
        wait_for(lambda: rig.status()["saves_ok"] > before, "a save", 3)
    listener.close()
    wait_for(lambda: rig.status()["saves_ok"] > before, "a save", 20)
    with open(interval, "w") as file:
        file.write("60")
