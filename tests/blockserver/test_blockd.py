# SPDX-License-Identifier: GPL-2.0-or-later
"""remap-blockd does what its README says, seen through NBD on unix sockets."""

import errno
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.blockserver.nbd_client import FLUSH, READ, WRITE, NbdClient, NbdError
from tests.harness import blockd

MIB = 1 << 20


def content(number: int, sectors: int = 1) -> bytes:
    return b"".join(f"{number:08d}.{s:06d}|".encode() * 32 for s in range(sectors))


class Setup:
    def __init__(self, directory: Path) -> None:
        blockd.build()
        self.server = blockd.BlockServer(directory, {"main": (4 * MIB, "vcache=on"),
                                                     "spare": MIB})
        self.main, self.spare = self.server.disk("main"), self.server.disk("spare")
        self.on_main = NbdClient(self.main.socket_path)
        self.on_spare = NbdClient(self.spare.socket_path)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    s = Setup(tmp_path)
    yield s
    s.on_main.close()
    s.on_spare.close()
    s.server.close()
    assert s.server.process.returncode == 0


def test_sizes_and_flags(setup: Setup) -> None:
    assert setup.on_main.size_bytes == 4 * MIB
    assert setup.on_spare.size_bytes == MIB
    assert setup.on_main.flags == 1 | 4 | 8 | 32


def test_reads_what_was_written(setup: Setup) -> None:
    setup.on_main.write(3, content(1, 20))
    setup.on_main.write(10, content(2))
    assert setup.on_main.read(3, 20) == content(1, 20)[:7 * 512] + content(2) + \
        content(1, 20)[8 * 512:]
    assert setup.on_main.read(23) == bytes(512)


@pytest.mark.parametrize("sector, count", [(8192, 1), (8191, 2), (1 << 54, 1)])
def test_beyond_the_end(setup: Setup, sector: int, count: int) -> None:
    with pytest.raises(NbdError) as caught:
        setup.on_main.read(sector, count)
    assert caught.value.errno == errno.EINVAL


def test_write_error_only_where_it_is_bad(setup: Setup) -> None:
    setup.on_main.write(0, content(1, 16))
    setup.main.bad(5)
    with pytest.raises(NbdError) as caught:
        setup.on_main.write(0, content(2, 16))
    assert caught.value.errno == errno.EIO
    assert setup.on_main.read(0, 16) == content(1, 16)
    setup.on_main.write(6, content(3))
    setup.on_main.write(4, content(3))
    setup.main.clear(5)
    setup.on_main.write(5, content(4))
    assert setup.on_main.read(5) == content(4)


def test_read_error_and_times(setup: Setup) -> None:
    setup.main.bad(5, 2, kind="read", times=2)
    setup.on_main.write(5, content(1))
    for _ in range(2):
        with pytest.raises(NbdError):
            setup.on_main.read(5)
    assert setup.on_main.read(5) == content(1)


def test_heal_is_by_sector(setup: Setup) -> None:
    setup.main.bad(4, 4, kind="both", action="heal")
    setup.on_main.write(5, content(1))
    assert setup.on_main.read(5) == content(1)
    for sector in (4, 6, 7):
        with pytest.raises(NbdError):
            setup.on_main.read(sector)
    setup.on_main.write(0, content(2, 16))
    assert setup.on_main.read(0, 16) == content(2, 16)


def test_badwrite_heal_loses_one_write(setup: Setup) -> None:
    setup.main.bad(4, 1, kind="both", action="badwrite-heal")
    with pytest.raises(NbdError):
        setup.on_main.write(4, content(1))
    assert setup.on_main.read(4) == bytes(512)
    setup.on_main.write(4, content(2))
    assert setup.on_main.read(4) == content(2)


@pytest.mark.parametrize("action, done", [("landed", 8), ("torn", 4), ("partial", 6)])
def test_writes_that_are_done_in_part(setup: Setup, action: str, done: int) -> None:
    setup.main.bad(106, 1, action=action)
    with pytest.raises(NbdError):
        setup.on_main.write(100, content(1, 8))
    assert setup.on_main.read(100, 8) == content(1, 8)[:done * 512] + bytes((8 - done) * 512)
    records = [(r.sector, r.sectors, r.flags) for r in setup.server.log()]
    assert records[0] == (100, done, blockd.LANDED)
    assert records[1:] == ([(100 + done, 8 - done, blockd.FAILED)] if done < 8 else [])


def test_writes_that_are_forgotten(setup: Setup) -> None:
    setup.on_main.write(100, content(1, 8))
    setup.main.bad(106, 1, action="forgets", times=1)
    setup.on_main.write(102, content(2, 8))
    assert setup.on_main.read(100, 8) == content(1, 8)
    assert [r.flags for r in setup.server.log()] == [0, blockd.FAILED]
    setup.on_main.write(102, content(2, 8))
    assert setup.on_main.read(102, 8) == content(2, 8)


def test_power_cut_loses_what_was_not_flushed(setup: Setup) -> None:
    setup.on_main.write(0, content(1))
    setup.on_main.flush()
    setup.on_main.write(0, content(2))
    setup.on_main.write(1, content(3), fua=True)
    setup.on_main.write(2, content(4))
    setup.on_spare.write(2, content(5))
    assert setup.on_main.read(0) == content(2)
    setup.server.powercut()
    with pytest.raises(NbdError):
        setup.on_main.read(0)
    setup.server.power_on()
    assert setup.on_main.read(0, 3) == content(1) + content(3) + bytes(512)
    assert setup.on_spare.read(2) == content(5), "no volatile cache there"


def test_fua_after_cached_write_wins(setup: Setup) -> None:
    setup.on_main.write(7, content(1))
    setup.on_main.write(7, content(2), fua=True)
    setup.on_main.flush()
    assert setup.main.media_path.read_bytes()[7 * 512:8 * 512] == content(2)


def test_random_power_cut_keeps_sectors_whole(setup: Setup) -> None:
    setup.on_main.write(0, content(1, 200))
    setup.on_main.flush()
    setup.on_main.write(0, content(2, 200))
    assert setup.server.powercut(seed=7, least=201) == {"main": 200, "spare": 0}
    assert setup.on_main.read(0, 200) == content(2, 200), "too little for a power cut"
    assert setup.server.powercut(seed=7, least=200) == {"main": 200, "spare": 0}
    setup.server.power_on()
    got = setup.on_main.read(0, 200)
    old, new = content(1, 200), content(2, 200)
    kept = 0
    for at in range(0, len(got), 512):
        assert got[at:at + 512] in (old[at:at + 512], new[at:at + 512])
        kept += got[at:at + 512] == new[at:at + 512]
    assert 60 < kept < 140
    assert setup.main.stats()["dirty"] == 0


def test_device_states(setup: Setup) -> None:
    setup.main.fail()
    for attempt in (lambda: setup.on_main.read(0), setup.on_main.flush):
        with pytest.raises(NbdError):
            attempt()
    setup.main.read_only()
    setup.on_main.read(0)
    with pytest.raises(NbdError) as caught:
        setup.on_main.write(0, content(1))
    assert caught.value.errno == errno.EPERM
    setup.main.back()
    setup.on_main.write(0, content(1))


def test_failed_flush_keeps_the_cache(setup: Setup) -> None:
    setup.on_main.write(0, content(1))
    setup.main.fail_flushes(1)
    with pytest.raises(NbdError):
        setup.on_main.flush()
    assert setup.main.media_path.read_bytes()[:512] == bytes(512)
    setup.on_main.flush()
    assert setup.main.media_path.read_bytes()[:512] == content(1)


def test_hold_parks_until_release(setup: Setup) -> None:
    setup.main.hold("write", 8, 8)
    held = setup.on_main.submit(WRITE, 15, 2, content(1, 2))
    read = setup.on_main.submit(READ, 15, 1)
    assert setup.on_main.wait() == (read, 0, bytes(512))
    assert setup.main.held() == 1
    setup.main.release()
    assert setup.on_main.wait() == (held, 0, b"")
    assert setup.main.held() == 0
    assert setup.on_main.read(15, 2) == content(1, 2)


def test_power_cut_drops_held_requests(setup: Setup) -> None:
    setup.spare.hold("write", 0, 8)
    held = setup.on_spare.submit(WRITE, 0, 1, content(1))
    while not setup.spare.held():
        time.sleep(0.001)
    setup.server.powercut()
    assert setup.on_spare.wait() == (held, errno.EIO, b"")
    setup.server.power_on()
    assert setup.on_spare.read(0) == bytes(512)


def test_delay_reorders(setup: Setup) -> None:
    setup.main.bad(0, 1, kind="write", action="slow", delay_ms=60)
    slow = setup.on_main.submit(WRITE, 0, 1, content(1))
    fast = setup.on_main.submit(WRITE, 9, 1, content(2))
    assert [setup.on_main.wait()[0] for _ in range(2)] == [fast, slow]


def test_trim_reads_as_zeros(setup: Setup) -> None:
    setup.on_main.write(0, content(1, 16))
    setup.on_main.trim(8, 8)
    assert setup.on_main.read(0, 16) == content(1, 16)[:8 * 512] + bytes(8 * 512)


def test_stats(setup: Setup) -> None:
    setup.main.bad(9)
    setup.on_main.write(0, content(1))
    setup.on_main.write(0, content(1), fua=True)
    with pytest.raises(NbdError):
        setup.on_main.write(9, content(1))
    setup.on_main.read(0)
    setup.on_main.flush()
    assert setup.main.stats() == {"reads": 1, "writes": 3, "flushes": 1, "fua": 1, "trims": 0,
                                  "errors": 1, "lost": 0, "dirty": 0, "faults": 1}


def test_log_has_one_order_over_both_disks(setup: Setup) -> None:
    setup.server.mark("start of test")
    setup.on_main.write(1, content(1, 2))
    setup.on_spare.write(2, content(2), fua=True)
    setup.on_spare.flush()
    setup.on_main.trim(8, 8)
    setup.main.fail()
    with pytest.raises(NbdError):
        setup.on_main.write(3, content(3))
    setup.server.powercut()
    log = setup.server.log()
    assert [(r.kind, r.disk, r.sector, r.sectors, r.flags) for r in log] == [
        ("mark", 0, 0, 0, 0),
        ("write", 0, 1, 2, 0),
        ("write", 1, 2, 1, blockd.FUA),
        ("flush", 1, 0, 0, 0),
        ("trim", 0, 8, 8, 0),
        ("write", 0, 3, 1, blockd.FAILED),
        ("powercut", 0, 0, 0, 0),
    ]
    assert log[0].data == b"start of test"
    assert log[1].data == content(1, 2)
    assert [r.ns for r in log] == sorted(r.ns for r in log)



class RealDisk:
    """A disk with a volatile cache and more OPTIONS."""

    def __init__(self, directory: Path, options: str) -> None:
        blockd.build()
        self.server = blockd.BlockServer(directory, {"main": (MIB, f"vcache=on{options}")})
        self.disk = self.server.disk("main")
        self.nbd = NbdClient(self.disk.socket_path)

    def media(self, sector: int, count: int = 1) -> bytes:
        return self.disk.media_path.read_bytes()[sector * 512:(sector + count) * 512]

    def records(self) -> list[tuple[str, int, int, int]]:
        return [(r.kind, r.sector, r.sectors, r.flags) for r in self.server.log()]

    def fails(self, what: Callable[..., object], *arguments: object) -> None:
        with pytest.raises(NbdError) as caught:
            what(*arguments)
        assert caught.value.errno == errno.EIO


@pytest.fixture
def real(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RealDisk]:
    r = RealDisk(tmp_path, getattr(request, "param", ""))
    yield r
    r.nbd.close()
    r.server.close()
    assert r.server.process.returncode == 0


@pytest.mark.parametrize("real", [",fua=off"], indirect=True)
def test_without_fua(real: RealDisk) -> None:
    assert real.nbd.flags == 1 | 4 | 32
    with pytest.raises(NbdError) as caught:
        real.nbd.write(0, content(1), fua=True)
    assert caught.value.errno == errno.EINVAL
    assert real.nbd.read(0) == bytes(512)


def test_late_error_comes_with_the_flush_once(real: RealDisk) -> None:
    real.nbd.write(4, content(1, 8))
    real.nbd.flush()
    real.disk.late(6, 2)
    real.nbd.write(4, content(2, 8))
    assert real.nbd.read(4, 8) == content(2, 8), "it is in the cache"
    real.fails(real.nbd.flush)
    expected = content(2, 8)[:1024] + content(1, 8)[1024:2048] + content(2, 8)[2048:]
    assert real.nbd.read(4, 8) == expected
    assert real.media(4, 8) == expected, "all others are on the media"
    real.nbd.flush()
    assert real.records()[2:] == [("write", 4, 8, 0), ("lost", 6, 2, 0),
                                  ("flush", 0, 0, blockd.FAILED | blockd.LANDED),
                                  ("flush", 0, 0, 0)]
    assert [r.done for r in real.server.log()][-2:] == [False, True]
    stats = real.disk.stats()
    assert (stats["lost"], stats["dirty"], stats["errors"]) == (2, 0, 1)
    real.nbd.write(7, content(3))
    real.fails(real.nbd.flush)
    assert real.nbd.read(7) == expected[3 * 512:4 * 512], "each write to it is late again"


def test_late_past_the_cache_fails_at_once(real: RealDisk) -> None:
    real.disk.late(6)
    real.fails(real.nbd.write, 0, content(1, 8), True)
    assert real.nbd.read(0, 8) == bytes(8 * 512)
    real.nbd.flush()
    real.nbd.write(0, content(2, 6), True)
    assert real.media(0, 6) == content(2, 6)


def test_late_without_a_cache_fails_at_once(setup: Setup) -> None:
    setup.spare.late(6)
    with pytest.raises(NbdError):
        setup.on_spare.write(6, content(1))
    setup.on_spare.flush()


def test_late_times(real: RealDisk) -> None:
    real.disk.late(6, 2, times=2)
    real.nbd.write(6, content(1, 2))
    real.fails(real.nbd.flush)
    real.fails(real.nbd.write, 6, content(2), True)
    real.nbd.write(6, content(3, 2))
    real.nbd.flush()
    assert real.media(6, 2) == content(3, 2)


def test_late_then_unreadable_until_it_is_on_the_media(real: RealDisk) -> None:
    real.disk.late(6, 2, then="error", times=2)
    real.nbd.write(7, content(1))
    real.fails(real.nbd.flush)
    real.fails(real.nbd.read, 7)
    assert real.nbd.read(6) == bytes(512), "it lost nothing"
    real.nbd.write(6, content(2, 2))
    assert real.nbd.read(6, 2) == content(2, 2), "from the cache"
    real.fails(real.nbd.flush)
    for sector in (6, 7):
        real.fails(real.nbd.read, sector)
    real.nbd.write(6, content(3))
    real.nbd.write(7, content(4), fua=True)
    assert real.nbd.read(6, 2) == content(3) + content(4)
    real.server.powercut()
    real.server.power_on()
    assert real.nbd.read(7) == content(4)
    real.fails(real.nbd.read, 6)
    real.nbd.write(6, content(5))
    real.nbd.flush()
    assert real.nbd.read(6) == content(5)
    assert real.disk.stats()["faults"] == 0


def test_cleared_before_the_flush(real: RealDisk) -> None:
    real.disk.late(6, 3, then="error")
    real.nbd.write(6, content(1, 3))
    real.disk.clear(7)
    real.fails(real.nbd.flush)
    assert real.media(6, 3) == bytes(512) + content(1, 3)[512:1024] + bytes(512)
    real.fails(real.nbd.read, 6)
    real.disk.clear()
    assert real.nbd.read(6) == bytes(512)


def test_destage_and_power_cut_leave_late_sectors_out(real: RealDisk) -> None:
    real.disk.late(50, 100)
    real.nbd.write(0, content(1, 200))
    real.disk.destage()
    kept = content(1, 200)[:50 * 512] + bytes(100 * 512) + content(1, 200)[150 * 512:]
    assert real.media(0, 200) == kept
    assert real.nbd.read(0, 200) == content(1, 200)
    assert real.disk.stats()["dirty"] == 100 and real.disk.stats()["errors"] == 0
    real.server.powercut(seed=1)
    real.server.power_on()
    assert real.nbd.read(0, 200) == kept
    real.nbd.flush()


def test_flushloss(real: RealDisk) -> None:
    real.nbd.write(0, content(1, 2))
    real.nbd.flush()
    real.nbd.write(1, content(2, 2))
    real.nbd.write(200, content(3))
    real.disk.lose_flushes(1)
    real.fails(real.nbd.flush)
    assert real.nbd.read(0, 3) == content(1, 2) + bytes(512)
    real.nbd.flush()
    assert real.records()[2:] == [("write", 1, 2, 0), ("write", 200, 1, 0), ("lost", 1, 2, 0),
                                  ("lost", 200, 1, 0), ("flush", 0, 0, blockd.FAILED),
                                  ("flush", 0, 0, 0)]


@pytest.mark.parametrize("real", [",serial=on"], indirect=True)
def test_serial_waits_for_each(real: RealDisk) -> None:
    real.disk.bad(0, 8, kind="both", action="error", delay_ms=60)
    real.disk.late(100, delay_ms=60)
    start = time.monotonic()
    order = [real.nbd.submit(WRITE, 0, 1, content(1)), real.nbd.submit(READ, 1, 1),
             real.nbd.submit(WRITE, 100, 1, content(2)), real.nbd.submit(FLUSH),
             real.nbd.submit(READ, 100, 1)]
    answers = [real.nbd.wait() for _ in order]
    assert [answer[0] for answer in answers] == order
    assert [answer[1] for answer in answers] == [errno.EIO, errno.EIO, 0, errno.EIO, 0]
    assert answers[4][2] == bytes(512)
    assert 0.18 <= time.monotonic() - start < 0.24 + 5


@pytest.mark.parametrize("real", [",serial=on"], indirect=True)
def test_serial_and_hold(real: RealDisk) -> None:
    """What is held has not come to the disk yet, others go on."""
    real.disk.hold("write", 8, 8)
    held = real.nbd.submit(WRITE, 8, 1, content(1))
    real.nbd.write(0, content(2))
    real.disk.delay("write", 40)
    slow = real.nbd.submit(WRITE, 1, 1, content(3))
    read = real.nbd.submit(READ, 8, 1)
    assert [real.nbd.wait() for _ in range(2)] == [(slow, 0, b""), (read, 0, bytes(512))]
    real.disk.release()
    assert real.nbd.wait() == (held, 0, b"")


def test_client_of_a_serial_disk_goes_away(tmp_path: Path) -> None:
    real = RealDisk(tmp_path, ",serial=on")
    real.disk.bad(0, 1, "write", "slow", delay_ms=20)
    other = NbdClient(real.disk.socket_path)
    other.submit(WRITE, 0, 1, content(1))
    for _ in range(3):
        other.submit(WRITE, 1, 1, content(1))
    other.close()
    real.nbd.write(1, content(2))
    assert real.nbd.read(1) == content(2)
    real.nbd.close()
    real.server.close()


def test_heal4k(real: RealDisk) -> None:
    real.nbd.write(88, content(1, 32), fua=True)
    real.disk.heal4k(99, 6)    # touches the blocks at 96 and 104
    for sector in (96, 103, 104, 111):
        real.fails(real.nbd.read, sector)
    assert real.nbd.read(88, 8) == content(1, 32)[:8 * 512]
    for first, count in [(98, 1), (96, 7), (97, 8), (90, 12), (100, 12)]:
        real.fails(real.nbd.write, first, content(2, count))
        real.fails(real.nbd.write, first, content(2, count), True)
    real.nbd.write(92, content(3, 12))
    assert real.nbd.read(92, 12) == content(3, 12)
    real.fails(real.nbd.read, 104)
    real.nbd.write(98, content(4))
    assert real.nbd.read(98) == content(4), "healed"
    real.nbd.write(104, content(5, 8), fua=True)
    assert real.media(104, 8) == content(5, 8)
    assert real.disk.stats()["faults"] == 0


@pytest.mark.parametrize("command", ["nonsense", "fault main add 1 2 write", "device other fail",
                                     "fault main add x 1 write error", "powercut seed=x",
                                     "fault main add 1 1 write error times=0", "hold main write",
                                     "fault main add 1 1 both late", "flushloss main",
                                     "fault main add 1 1 write error then=error",
                                     "fault main add 1 1 write unread"])
def test_bad_commands_are_refused(setup: Setup, command: str) -> None:
    with pytest.raises(blockd.BlockServerError):
        setup.server.command(command)
