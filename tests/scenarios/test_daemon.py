# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd against the real module, with a journal and a service manager made by the test."""

import json
import os
import random
import select
import signal
import subprocess
import time
from pathlib import Path
from uuid import UUID

import pytest

from tests.scenarios.lib import Rig, pattern, wait_for
from tests.scenarios.ondisk import Spare
from tests.scenarios.remapd import COMMAND, PROGRAM, running

pytestmark = [pytest.mark.disks(main="1M", spare="640K"), pytest.mark.plain_only]


def test_a_remap_is_told(rig: Rig, tmp_path: Path) -> None:
    """Rows 26 to 28: name, sector and cause are fields of the entry."""
    with running(tmp_path) as daemon:
        device = rig.create("data")
        daemon.wait_for(DM_REMAP_EVENT="loaded", DM_REMAP_NAME="data")
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        entry = daemon.wait_for(DM_REMAP_EVENT="relocated")
        assert entry["DM_REMAP_NAME"] == "data" and entry["DM_REMAP_SECTOR"] == "800"
        assert entry["DM_REMAP_NR_SECTORS"] == "1" and entry["DM_REMAP_CAUSE"] == "write-error"
        assert entry["DM_REMAP_ERROR"] == "I/O error" and entry["DM_REMAP_MEMBER"] == "main"
        assert entry["PRIORITY"] == "4" and len(entry["MESSAGE_ID"]) == 32
        assert entry["MESSAGE"].startswith("data: relocated sector 800 to slot ")
        slot = {e.chunk: e.slot for e in Spare.of(rig).entries() if e.state}[100]
        assert entry["DM_REMAP_SLOT"] == str(slot)
        rig.remove("data")
        daemon.wait_for(DM_REMAP_EVENT="unloaded", DM_REMAP_NAME="data")


def test_a_name_is_no_option(rig: Rig, tmp_path: Path) -> None:
    """Its children get the name behind "--"."""
    device = rig.create("--json")
    rig.main.bad(40, kind="read")
    with running(tmp_path) as daemon:
        with pytest.raises(OSError):
            device.pread(40)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="40")
        daemon.wait_for(DM_REMAP_EVENT="health", DM_REMAP_NAME="--json")
        daemon.wait_for(DM_REMAP_EVENT="saved")
        rig.main.bad(60, kind="read")
        with pytest.raises(OSError):
            device.pread(60)    # five seconds later this would be saved without the stop
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="60")
        before = rig.status("--json")["saves_ok"]
        assert daemon.stop() == 0
        assert rig.status("--json")["saves_ok"] == before + 1
        assert daemon.find(DM_REMAP_EVENT="job") == []
        assert not [e for e in daemon.hear().entries if "invalid option" in e["MESSAGE"]]


def test_a_name_that_a_terminal_would_act_upon(rig: Rig, tmp_path: Path) -> None:
    """Every entry of a set has the same one, and journalctl shows it."""
    device = rig.create("a\\x1bb\\x0ac\\x20d")    # as device-mapper encodes it
    shown = "a\\x1bb\\x0ac d"
    rig.main.bad(40, kind="read")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found", DM_REMAP_NAME=shown)
        with pytest.raises(OSError):
            device.pread(40)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_NAME=shown)
        daemon.wait_for(DM_REMAP_EVENT="health", DM_REMAP_NAME=shown)
        assert daemon.stop() == 0
        for entry in daemon.entries:
            assert all(value.isprintable() for value in entry.values()), entry


def test_it_saves_and_leaves_devices_running(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    with running(tmp_path) as daemon:
        rig.main.bad(40, kind="read")
        with pytest.raises(OSError):
            device.pread(40)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="40")
        before = rig.status()["saves_ok"]
        assert daemon.stop() == 0
        assert "STOPPING=1" in daemon.told
        assert rig.status()["saves_ok"] == before + 1
    rig.main.bad(80, kind="write")
    device.pwrite(80, pattern(2))
    assert device.pread(80) == pattern(2) and rig.status()["mode"] == "rw"


def test_steps_are_told_once_also_over_a_restart(rig: Rig, tmp_path: Path) -> None:
    """Of a set that is known by its DM_UUID; also when it was away meanwhile."""
    def activate() -> None:
        made = rig.dmsetup("create", "r0", "-u", f"REMAP-{uuid}", "--table", rig.table())
        assert made.returncode == 0, made

    steps = tmp_path / "steps"
    device = rig.create()
    uuid = UUID(bytes=Spare.of(rig).newest(0).uuid)
    rig.main.bad(0, 1000, kind="write")
    for chunk in range(50):
        device.pwrite(8 * chunk, pattern(chunk))
    rig.remove()
    activate()
    with running(tmp_path) as daemon:
        told = daemon.wait_for(DM_REMAP_PERCENT="50")
        assert "dmremap status r0" in told["MESSAGE"] and told["PRIORITY"] == "4"
        wait_for(lambda: steps.exists(), "the state", 20)    # told first, then noted
        daemon.stop(signal.SIGKILL)
    rig.remove("r0")
    other = rig.create("other", table=f"0 8 linear {rig.main.kernel_path} 0")
    with running(tmp_path) as daemon:    # not active now: nevertheless remembered
        daemon.reload()
        daemon.stop()
    other.close()
    rig.remove("other")
    activate()
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found", DM_REMAP_NAME="r0")
        daemon.reload()
        assert daemon.find(DM_REMAP_PERCENT="50") == []
        again = rig.dmsetup("message", "r0", "0", f"remap {8 * 50} {8 * 25}")
        assert again.returncode == 0, again
        daemon.wait_for(DM_REMAP_PERCENT="75")
        wait_for(lambda: steps.read_text() == f"REMAP-{uuid} 75\n", "the state", 20)


def test_a_storm_is_told_in_one_line(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    with running(tmp_path) as daemon:
        rig.main.bad(0, 400, kind="read")
        for sector in range(100, 200):
            with pytest.raises(OSError):
                device.pread(sector)
        entry = daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_COUNT="80")
        assert "sectors 120 to 199" in entry["MESSAGE"]
        assert len(daemon.find(DM_REMAP_EVENT="read-error")) == 21
        health = daemon.wait_for(DM_REMAP_HEALTH="failing")
        assert health["DM_REMAP_NAME"] == "r0" and health["PRIORITY"] == "2"


def test_killed_and_started_again(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    rig.main.bad(0, 2000, kind="write")
    with running(tmp_path) as daemon:
        device.pwrite(0, pattern(0))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="0")
        daemon.stop(signal.SIGKILL)
    device.pwrite(8, pattern(1))
    rig.message("r0", "freeze")
    with running(tmp_path) as daemon:
        # what happened meanwhile is seen in the state, not as events
        assert daemon.wait_for(DM_REMAP_EVENT="found")["DM_REMAP_USED_SLOTS"] == "3"
        assert daemon.wait_for(DM_REMAP_HEALTH="degraded")["DM_REMAP_MODE"] == "frozen"
        rig.message("r0", "thaw")
        daemon.wait_for(DM_REMAP_EVENT="mode", DM_REMAP_OLD_MODE="frozen")
        device.pwrite(16, pattern(2))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="16")
    assert device.pread(8) == pattern(1) and device.pread(16) == pattern(2)


def test_the_module_comes_later(rig: Rig, tmp_path: Path) -> None:
    """Events are heard from the moment on when the module is there, not a minute later."""
    module = Path(os.environ["DM_REMAP_RESULTS"]) / "dm-remap.ko"
    subprocess.run(["rmmod", "dm_remap"], check=True)
    try:
        with running(tmp_path) as daemon:
            wait_for(lambda: any("the module is not loaded" in line
                                 for line in daemon.hear().told), "the status", 20)
            subprocess.run(["insmod", str(module)], check=True)
            wait_for(lambda: any("listening" in line for line in daemon.hear().told),
                     "the daemon to listen", 20)
            device = rig.create("data")
            rig.main.bad(800, kind="write")
            device.pwrite(800, pattern(1))
            # Heard; a poll that comes between has found it as well.
            daemon.wait_for(DM_REMAP_EVENT="loaded", DM_REMAP_NAME="data")
            daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="800")
    finally:
        if not Path("/sys/module/dm_remap").exists():
            subprocess.run(["insmod", str(module)], check=True)


def test_the_module_goes_and_comes(rig: Rig, tmp_path: Path) -> None:
    """A socket in the group of a family that has gone is deaf: the new one is joined."""
    module = Path(os.environ["DM_REMAP_RESULTS"]) / "dm-remap.ko"
    device = rig.create("data")
    follower = subprocess.Popen([str(COMMAND), "events", "--follow", "--json"],
                                stdout=subprocess.PIPE, text=True)
    assert follower.stdout
    try:
        with running(tmp_path) as daemon:
            daemon.wait_for(DM_REMAP_EVENT="found", DM_REMAP_NAME="data")
            rig.main.bad(0, 2000, kind="write")
            chunk = 0
            while not select.select([follower.stdout], [], [], 0.5)[0]:    # not listening yet
                device.pwrite(8 * chunk, pattern(1))
                chunk += 1
            for _ in range(2):
                rig.remove("data")
                subprocess.run(["rmmod", "dm_remap"], check=True)
                wait_for(lambda: "the module is not loaded" in daemon.hear().told[-1],
                         "the status", 20)
                subprocess.run(["insmod", str(module)], check=True)
                wait_for(lambda: "listening" in daemon.hear().told[-1], "to listen", 20)
                device = rig.create("data")
                sector = 800 + 8 * rig.status("data")["used"]
                device.pwrite(sector, pattern(1))
                daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR=str(sector))
                event = json.loads(follower.stdout.readline())
                while event.get("sector") != sector:
                    event = json.loads(follower.stdout.readline())
                assert event["event"] == "relocated"
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()
        if not Path("/sys/module/dm_remap").exists():
            subprocess.run(["insmod", str(module)], check=True)


def test_a_reload_is_no_loss_of_events(rig: Rig, tmp_path: Path) -> None:
    """Row 35: no alarm without content."""
    device = rig.create()
    rig.main.bad(0, 2000, kind="write")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        device.pwrite(0, pattern(1))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="0")
        for _ in range(3):
            rig.reload()
        rig.message("r0", "save")
        device.pwrite(8, pattern(1))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="8")
        daemon.reload()
        time.sleep(2)
        assert not [entry for entry in daemon.hear().entries
                    if "were lost" in entry["MESSAGE"] or "since the previous poll" in entry["MESSAGE"]]


def test_a_place_is_told_once(rig: Rig, tmp_path: Path) -> None:
    """Row 30: a file system that tries again is no news."""
    device = rig.create()
    rig.main.bad(40, 16, kind="read")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        for _ in range(15):
            with pytest.raises(OSError):
                device.pread(40)
        with pytest.raises(OSError):
            device.pread(48)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="48")
        assert len(daemon.find(DM_REMAP_EVENT="read-error")) == 2
        saved = daemon.wait_for(DM_REMAP_EVENT="saved")
        assert saved["PRIORITY"] == "7"


@pytest.mark.long
@pytest.mark.disks(main="16M", spare="16M")
def test_a_storm_that_probes_contradict_is_ended(rig: Rig, tmp_path: Path) -> None:
    """Row 33: where main answers, it has many bad places; the daemon thaws within its budget."""
    device = rig.create()
    rig.main.bad(0, 20000, kind="write")

    def storm(first: int) -> int:
        for chunk in range(first, first + 2000):
            try:
                device.pwrite(8 * chunk, pattern(1, 8))
            except OSError:
                return chunk
        raise AssertionError("no storm")

    with running(tmp_path, "[storm]\nthaws = 1\n[watch]\ninterval = 1\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        stopped = storm(0)
        assert rig.status()["mode"] == "frozen"
        told = daemon.wait_for(DM_REMAP_EVENT="thawed")
        assert "1 of 1 times" in told["MESSAGE"]
        rig.wait_for_mode("rw")
        device.pwrite(8 * stopped, pattern(2, 8))
        assert device.pread(8 * stopped, 8) == pattern(2, 8)


@pytest.mark.long
def test_a_freeze_by_hand_is_not_ended(rig: Rig, tmp_path: Path) -> None:
    """Also one that is older than the daemon: only what a storm froze is thawed."""
    rig.create()
    rig.message("r0", "freeze")
    with running(tmp_path, "[storm]\nthaws = 5\n[watch]\ninterval = 1\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        time.sleep(36)    # a storm is ended after half a minute
        daemon.reload()
        assert not daemon.find(DM_REMAP_EVENT="thawed") and rig.status()["mode"] == "frozen"


@pytest.mark.long
def test_the_daemon_costs_nothing_when_idle(rig: Rig, tmp_path: Path) -> None:
    """Row 31: after a burst of events it sleeps; counted, for time depends on what else runs."""
    device = rig.create()
    rig.main.bad(0, 400, kind="read")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        for sector in range(100, 200):
            with pytest.raises(OSError):
                device.pread(sector)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_COUNT="80")
        daemon.wait_for(DM_REMAP_EVENT="saved")

        def work() -> tuple[int, int]:
            """How often it was woken, and page faults of all children that it had."""
            status = Path(f"/proc/{daemon.process.pid}/status").read_text()
            stat = Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0]), int(stat[8])

        def is_idle() -> bool:
            before = work()
            time.sleep(20)
            daemon.hear()
            wakes, faults = (now - then for now, then in zip(work(), before))
            print(f"in 20 s woken {wakes} times, {faults} page faults of children")
            return wakes <= 2 and not faults

        wait_for(is_idle, "the daemon to sleep", 90)    # the first time, what is due may still come


def test_the_configuration_is_tested(rig: Rig, tmp_path: Path) -> None:
    """Row 13, --test-config: every mistake with its file and line."""
    config = tmp_path / "dm-remapd.conf"
    environment = {"CONFIGURATION_DIRECTORY": str(tmp_path), "PATH": os.environ["PATH"]}

    def test() -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(PROGRAM), "--test-config"], capture_output=True, text=True,
                              env=environment)

    config.write_bytes(b"\xef\xbb\xbf[save]\ninterval = 5\ninterval = 6\n")
    assert test().returncode == 0 and "valid" in test().stdout
    config.write_text("[spare]\nsteps =\n[save]\ninterval = 0\n")
    assert test().returncode == 1
    assert [line.split(": ")[0] for line in test().stderr.splitlines()] == \
        [f"{config}:2", f"{config}:4"]
    config.write_text("interval = 5\n")
    assert test().returncode == 1 and f"{config}:1: " in test().stderr


def test_netlink_that_is_refused_is_told(rig: Rig, tmp_path: Path) -> None:
    """Without the capabilities listening is refused: that is not a missing module."""
    rig.create()
    less = ("setpriv", "--bounding-set=-net_admin,-sys_admin", "--inh-caps=-net_admin,-sys_admin")
    with running(tmp_path, wrap=less) as daemon:
        told = wait_for(lambda: [entry for entry in daemon.hear().entries
                                 if "cannot listen to events" in entry["MESSAGE"]],
                        "the refusal", 20)
        daemon.reload()
        assert len(told) == 1 and told[0]["PRIORITY"] == "3" and "MESSAGE_ID" in told[0]
        assert not any("the module is not loaded" in line for line in daemon.hear().told)


def test_a_flood_is_told_and_caught_up_with(rig: Rig, tmp_path: Path) -> None:
    """More events than the socket holds while the daemon stands still: a look tells.

    Without CAP_NET_ADMIN the socket holds some hundreds, with it thousands.
    """
    device = rig.create()
    rig.main.bad(0, 2000, kind="read")
    less = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    with running(tmp_path, wrap=less) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        with pytest.raises(OSError):
            device.pread(1)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="1")
        polls = daemon.polls()
        wait_for(lambda: daemon.polls() > polls, "the poll that this leads to", 60)
        daemon.send(signal.SIGSTOP)
        for number in range(3000):
            with pytest.raises(OSError):
                device.pread(number % 1000)
        daemon.send(signal.SIGCONT)
        wait_for(lambda: [entry for entry in daemon.hear().entries
                          if "events were lost" in entry["MESSAGE"]], "lost events", 60)
        told = daemon.wait_for(DM_REMAP_EVENT="caught-up")
        assert told["DM_REMAP_READ_ERRORS"] == "3000" and told["DM_REMAP_RELOCATIONS"] == "0"
        assert rig.status()["read_errors"] == 3001
        rig.main.bad(1600, kind="write")    # and it hears again
        device.pwrite(1600, pattern(1))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="1600")


def test_saved_soon_after_an_event_and_on_the_timer(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    rig.main.bad(40, 8, kind="read")
    with running(tmp_path, "[save]\ninterval = 3600\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        before = rig.status()["saves_ok"]
        with pytest.raises(OSError):
            device.pread(40)
        wait_for(lambda: rig.status()["saves_ok"] == before + 1, "a save after the event", 30)
        daemon.wait_for(DM_REMAP_EVENT="saved")
    with running(tmp_path, "[save]\ninterval = 2\n[watch]\ninterval = 1\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        before = rig.status()["saves_ok"]
        time.sleep(5)    # nothing moved: nothing is saved
        assert rig.status()["saves_ok"] == before


def test_settings_are_read_again(rig: Rig, tmp_path: Path) -> None:
    """SIGHUP: a wrong value is told with its line, half a file changes nothing."""
    device = rig.create()
    rig.main.bad(40, 400, kind="read")

    def failing() -> None:
        for sector in range(40, 45):
            with pytest.raises(OSError):
                device.pread(sector)

    with running(tmp_path, "[errors]\ncount = 64\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        daemon.config.write_text("[errors]\ncount = 5\nseconds = never\n")
        daemon.reload()
        told, = [entry for entry in daemon.entries if "never" in entry["MESSAGE"]]
        assert told["MESSAGE"].startswith(f"{daemon.config}:3: [errors] seconds: ")
        daemon.config.write_text("[errors]\ncount = 64\n[save\n")
        daemon.reload()
        told, = [entry for entry in daemon.entries if "settings stay" in entry["MESSAGE"]]
        assert told["MESSAGE"].startswith(f"{daemon.config}:3: ")
        failing()
        daemon.wait_for(DM_REMAP_HEALTH="failing")    # count = 5 is still in force


@pytest.mark.disks(main="1M", spare="640K:vcache=off")
def test_a_hung_disk_holds_nobody_up(rig: Rig, tmp_path: Path) -> None:
    """A spare that does not answer: told once, events go on, and all is well afterwards."""
    device = rig.create()
    rig.main.bad(40, 100, kind="read")
    with running(tmp_path, "[watch]\npatience = 2\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        rig.spare.hold("write", 0, rig.spare.size_bytes // 512)
        with pytest.raises(OSError):
            device.pread(40)
        daemon.wait_for(DM_REMAP_EVENT="late", DM_REMAP_NAME="r0", DM_REMAP_VERB="save")
        with pytest.raises(OSError):
            device.pread(48)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="48")
        daemon.reload()    # a look at everything is not held up, either
        rig.spare.release()
        daemon.wait_for(DM_REMAP_EVENT="came-back")
        assert len(daemon.find(DM_REMAP_EVENT="late", DM_REMAP_VERB="save")) == 1
        wait_for(lambda: rig.status()["saves_ok"] >= 2, "the saves", 30)
        assert daemon.stop() == 0


@pytest.mark.disks(main="1M", spare="640K:vcache=off")
def test_what_happens_during_a_save_is_saved_at_the_end(rig: Rig, tmp_path: Path) -> None:
    """Told to stop while a save waits for the disk, it saves once more after that."""
    device = rig.create()
    rig.main.bad(40, 100, kind="read")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        before = rig.status()["saves_ok"]
        rig.spare.hold("write", 0, rig.spare.size_bytes // 512)
        with pytest.raises(OSError):
            device.pread(40)
        wait_for(lambda: rig.spare.held(), "the save to wait", 60)
        with pytest.raises(OSError):
            device.pread(48)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="48")
        daemon.send(signal.SIGTERM)
        wait_for(lambda: "STOPPING=1" in daemon.hear().told, "the end to begin", 60)
        rig.spare.release()
        assert daemon.process.wait(60) == 0
        assert rig.status()["saves_ok"] == before + 2


def test_read_errors_are_rescued_if_wanted(rig: Rig, tmp_path: Path) -> None:
    """Row 4: what can be read around them is saved; what cannot is lost, and that is told."""
    device = rig.create()
    device.pwrite(0, pattern(3, 64))
    rig.main.bad(17, kind="read")
    with running(tmp_path) as daemon:    # not by default
        daemon.wait_for(DM_REMAP_EVENT="found")
        with pytest.raises(OSError):
            device.pread(16, 4)
        daemon.wait_for(DM_REMAP_EVENT="read-error")
        time.sleep(3)
        assert rig.status()["used"] == 1
    with running(tmp_path, "[errors]\nrescue = yes\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        with pytest.raises(OSError):
            device.pread(16, 4)
        told = daemon.wait_for(DM_REMAP_EVENT="remapped")
        assert told["DM_REMAP_CAUSE"] == "rescue"
    assert rig.status()["used"] == 2 and rig.status()["lost_sectors"] == 1
    assert device.pread(16) == pattern(3, 64)[16 * 512:17 * 512]
    with pytest.raises(OSError):
        device.pread(17)
    rig.main.clear()
    assert rig.media("main").read(17) == pattern(3, 64)[17 * 512:18 * 512]
    device.pwrite(17, pattern(9))
    assert device.pread(17) == pattern(9)


def test_killed_at_random_points(rig: Rig, rng: random.Random, tmp_path: Path) -> None:
    """P9: whenever it dies, the data is right, and the next one starts from what is true."""
    device = rig.create()
    rig.main.bad(0, 2000, kind="write")
    written: dict[int, bytes] = {}
    for life in range(8):
        with running(tmp_path, "[save]\ninterval = 1\n[watch]\ninterval = 1\n") as daemon:
            for chunk in rng.sample(range(60), 6):
                written[chunk] = pattern(life * 100 + chunk, 8)
                device.pwrite(8 * chunk, written[chunk])
            time.sleep(rng.random() * 2)
            daemon.stop(signal.SIGKILL)
            wait_for(lambda: not daemon.commands(), "its children to end", 60)
        for chunk, data in written.items():
            assert device.pread(8 * chunk, 8) == data
    with running(tmp_path) as daemon:
        found = daemon.wait_for(DM_REMAP_EVENT="found")
        assert found["DM_REMAP_USED_SLOTS"] == str(rig.status()["used"])
        saves = rig.status()["saves_ok"]
        assert daemon.stop() == 0
        assert rig.status()["saves_ok"] == saves + 1


def test_arguments_are_refused(rig: Rig) -> None:
    result = subprocess.run([str(PROGRAM), "--now"], capture_output=True, text=True)
    assert result.returncode == 2 and "usage" in result.stderr
