# SPDX-License-Identifier: GPL-2.0-or-later
"""A scrub finds what cannot be read, names its files, survives being killed, and gives way."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.lib import Device, Rig, wait_for
from tests.scenarios.owned import FILES, KINDS, held, make_files, mounted
from tests.scenarios.region import Region
from tests.scenarios.remapd import running
from tests.scenarios.sets import (FAILED, DAMAGED, OK, PROGRAM, REFUSED, USAGE, create, dmremap, output,
                                  refused, run, settle)

__all__ = ["mounted"]    # a fixture
pytestmark = [pytest.mark.disks(main="64M", spare="8M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE_DIRECTORY", "CONFIGURATION_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def scrub(*more: str) -> subprocess.CompletedProcess[str]:
    """To its end, in a process of its own: it makes itself idle."""
    return subprocess.run([str(PROGRAM), "scrub", "run", "data", *more], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)


BEGUN: list[subprocess.Popen[str]] = []


def begin(*more: str) -> subprocess.Popen[str]:
    BEGUN.append(subprocess.Popen([str(PROGRAM), "scrub", "run", "data", *more], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL))
    return BEGUN[-1]


@pytest.fixture(autouse=True)
def none_is_left(rig: Rig) -> Iterator[None]:
    """Whatever fails: the device is not held by a scrub."""
    yield
    if Path("/dev/mapper/data").exists():
        dmremap("scrub", "stop", "data")
    while BEGUN:
        process = BEGUN.pop()
        process.kill()
        process.wait()


def status() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(output("scrub", "status", "data", "--json"))
    return told


def unreadable(part: str = "set") -> set[int]:
    return {span["sector"] + n for span in status()[part]["unreadable"]
            for n in range(span["nr_sectors"])}


def whole_units(sectors: set[int]) -> set[int]:
    """A disk fails in its physical blocks."""
    unit = int(Path("/sys/block/nbd0/queue/physical_block_size").read_text()) // 512
    return {sector // unit * unit + n for sector in sectors for n in range(unit)}


@pytest.mark.disks(main="320M", spare="8M")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_planted_sectors_and_their_files(rig: Rig, mounted: Any, kind: str) -> None:
    create(rig)
    assert status()["state"] == "never"
    run(*KINDS[kind], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", kind)
    make_files(place)
    truth = held("/dev/mapper/data")
    of_file = {n: sorted(s for s, (number, _) in truth.items() if number == n) for n in FILES}
    lost = of_file[2][40]
    rig.main.bad(lost, kind="read")
    output("remap", "data", str(lost // 8 * 8), "8")
    planted = {of_file[3][17], *of_file[5][30:43], of_file[7][-1], 655_000}
    for sector in planted:
        rig.main.bad(sector, kind="read")
    result = scrub()
    assert result.returncode == OK, result
    assert unreadable() == whole_units(planted) and unreadable("spare") == set()
    told = status()
    assert told["state"] == "finished" and told["permille"] == 1000 and told["good"] is None
    assert told["last"]["unreadable"] == len(whole_units(planted))
    assert told["last"]["open"] == 0 and told["last"]["metadata"] == "good"
    for number in (3, 5, 7):
        name = FILES[number].encode(errors="surrogateescape").decode(errors="replace")
        assert name.split(" \ufffd")[0] in result.stdout, result.stdout
    assert "with blank, from byte" in output("files", "data", "--unreadable")
    hits = json.loads(output("files", "data", "--unreadable", "--json"))["hits"]
    assert {hit["path"] for hit in hits if hit["kind"] == "file"} == {
        str(place / FILES[n].encode(errors="surrogateescape").decode(errors="replace"))
        for n in (3, 5, 7)}
    assert [hit["kind"] for hit in hits if hit["sector"] >= 655_000 - 8] == ["free"]
    told = json.loads(output("health", "data", "--json"))["sets"][0]
    assert "unreadable" in {reason["code"] for reason in told["reasons"]}
    assert told["scrub"]["unreadable"] == len(whole_units(planted))
    assert "sectors cannot be read" in output("health", "data")
    # written anew by their owner they are well: the next one finds all good
    rig.main.clear()
    assert scrub().returncode == OK
    assert unreadable() == set() and status()["good"] == status()["last"]["ended"]
    assert "all could be read" in output("scrub", "status", "data")
    assert "unreadable" not in {reason["code"] for reason in json.loads(
        output("health", "data", "--json"))["sets"][0]["reasons"]}


def plant(rig: Rig, rng: random.Random, places: int) -> set[int]:
    last = rig.main.size_bytes // 512 - 100    # the set's own places are at the end
    planted: set[int] = set()
    for _ in range(places):
        first, nr = rng.randrange(100, last), rng.choice((1, 1, 3, 20))
        rig.main.bad(first, nr, kind="read")
        planted |= set(range(first, first + nr))
    return planted


def test_killed_at_any_moment(rig: Rig, rng: random.Random, state: Path) -> None:
    """It goes on from where it was saved, and in the end nothing is missed or invented."""
    create(rig)
    planted = plant(rig, rng, 12)
    worked = killed = 0
    for _ in range(40):
        process = begin()
        time.sleep(rng.uniform(0.2, 1.2))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        told = status()
        assert told["state"] in ("interrupted", "finished", "never")
        assert told["permille"] >= worked or told["state"] == "finished"
        worked = told["permille"]
    assert killed > 1
    while status()["state"] != "finished":
        assert scrub().returncode == OK
    assert unreadable() == whole_units(planted)
    assert not list(state.glob("*.dmremap-new"))


def test_salvage(rig: Rig, rng: random.Random, state: Path) -> None:
    """What [errors] rescue wants: the places go to the spare, and what is readable is kept."""
    (state / "dm-remapd.conf").write_text("[errors]\nrescue = yes\n")
    create(rig)
    device = Device("/dev/mapper/data", "data")
    device.pwrite(5000, b"x" * 4096)
    device.close()
    rig.main.destage()
    rig.main.bad(5002, kind="read")
    rig.main.bad(90_000, 20, kind="read")
    result = scrub()
    told = status()["last"]
    print(result)
    nr = len(whole_units({5002, *range(90_000, 90_020)}))
    assert (told["unreadable"], told["salvaged"]) == (0, nr) and unreadable() == set()
    assert rig.status("data")["lost_sectors"] == 21
    device = Device("/dev/mapper/data", "data", read_only=True)
    assert device.pread(5000, 2) == b"x" * 1024 and device.pread(5003) == b"x" * 512
    device.close()
    # what is lost is known: the next one has nothing to say of it
    errors = rig.status("data")["read_errors"]
    assert scrub().returncode == OK
    assert rig.status("data")["read_errors"] == errors and status()["last"]["salvaged"] == 0


@pytest.mark.long
def test_a_disk_that_begins_badly_is_not_gone(rig: Rig) -> None:
    """No piece was read yet when it had failed twenty times."""
    create(rig)
    planted = set(range(256, 65536, 128))
    for sector in planted:
        rig.main.bad(sector, kind="read")
    result = scrub()
    assert result.returncode == OK, result
    assert unreadable() == whole_units(planted)


def test_a_disk_that_is_gone_has_no_bad_sectors(rig: Rig, state: Path) -> None:
    (state / "dm-remapd.conf").write_text("[errors]\nrescue = yes\n[scrub]\nrate = 20M\n")
    create(rig)
    process = begin()
    wait_for(lambda: status()["permille"] > 50 or process.poll() is not None, "some of it", 30)
    time.sleep(0.5)
    rig.main.fail()
    said = process.communicate(timeout=60)[0]
    assert process.returncode != OK and "does not answer any more" in said, said
    told = status()
    assert told["state"] == "interrupted" and told["last"]["ended"] is None and unreadable() == set()
    assert rig.status("data")["lost_sectors"] == 0
    rig.main.back()
    assert scrub().returncode == OK
    assert unreadable() == set() and status()["last"]["salvaged"] == 0


def test_it_goes_on_when_a_disk_is_back(rig: Rig, state: Path, tmp_path: Path) -> None:
    """The daemon knew of it before the disk went, and sees that the table is loaded again."""
    (state / "dm-remapd.conf").write_text("[scrub]\nrate = 4M\n")
    create(rig)
    with running(tmp_path, "[scrub]\nrate = 4M\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        process = begin()
        wait_for(lambda: status()["permille"] > 30, "some of it", 60)
        daemon.reload()
        time.sleep(2)
        rig.main.fail()
        assert process.wait(60) != OK and status()["state"] == "interrupted"
        rig.main.back()
        daemon.reload()
        time.sleep(3)
        assert status()["state"] == "interrupted"
        line = run_dmsetup("table", "--showkeys", "data").strip()
        run_dmsetup("reload", "data", "--table", line)
        run_dmsetup("suspend", "data")
        run_dmsetup("resume", "data")
        wait_for(lambda: status()["state"] == "running", "it to go on", 60)
        daemon.stop()


def run_dmsetup(*arguments: str) -> str:
    return subprocess.run(["dmsetup", *arguments], capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL).stdout


def test_who_deactivates_is_let_through(rig: Rig) -> None:
    create(rig)
    process = begin("--rate", "4M")
    wait_for(lambda: status()["state"] == "running", "it to begin", 30)
    time.sleep(1)
    output("deactivate", "data")
    said = process.communicate(timeout=60)[0]
    assert process.returncode != OK and "goes on" in said, said
    output("activate", "data")
    assert status()["state"] == "interrupted" and status()["permille"] < 1000
    assert scrub().returncode == OK and status()["state"] == "finished"


def test_start_and_stop(rig: Rig, state: Path, tmp_path: Path) -> None:
    create(rig)
    refused(USAGE, "scrub", "pause", "data")
    refused(USAGE, "scrub", "start", "data", "--json")
    for words in (["start", "--rate", "10M"], ["start", "--latency", "5"], ["stop", "--anew"],
                  ["status", "--rate", "10M"], ["run", "--resume"]):
        assert "does nothing with scrub" in refused(USAGE, "scrub", words[0], "data", *words[1:])
    assert "bytes a second" in refused(USAGE, "scrub", "run", "data", "--rate", "abc")
    (state / "dm-remapd.conf").write_text("[scrub]\nrate = 4M\n")
    output("scrub", "start", "data", "--resume")
    assert status()["state"] == "never"
    run(str(PROGRAM), "scrub", "start", "data")
    wait_for(lambda: status()["state"] == "running", "it to begin", 30)
    assert "already" in refused(REFUSED, "scrub", "start", "data")
    wait_for(lambda: status()["seconds_left"], "an idea of how long it takes", 60)
    assert status()["seconds_left"] > 3    # 18 in all, and more on a loaded machine
    output("scrub", "stop", "data")
    stopped = status()
    assert stopped["state"] == "stopped" and 0 < stopped["permille"] < 1000
    output("scrub", "start", "data", "--resume")    # not what was stopped
    assert status()["state"] == "stopped"
    # one that was interrupted goes on by itself, from the moment that start returns on
    run(str(PROGRAM), "scrub", "start", "data")
    at_work = refused(REFUSED, "scrub", "start", "data")
    os.kill(int(at_work.partition("(process ")[2].partition(")")[0]), signal.SIGKILL)
    wait_for(lambda: status()["state"] != "running", "its end", 30)
    assert status()["state"] == "interrupted"
    (state / "dm-remapd.conf").write_text("[scrub]\nrate = no\n")
    with running(tmp_path, "[scrub]\nrate = no\n"):
        wait_for(lambda: status()["state"] == "finished", "its end", 90)
    assert status()["begun"] == stopped["begun"]
    # what is damaged is not believed
    file, = state.glob("*.scrub")
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    refused(DAMAGED, "scrub", "status", "data")
    result = scrub()
    assert result.returncode == OK and "begins anew" in result.stdout


def test_one_that_was_started_is_running(rig: Rig, state: Path) -> None:
    """From the moment that start returns on: never "finished", which was the one before."""
    create(rig)
    assert scrub().returncode == OK and status()["state"] == "finished"
    (state / "dm-remapd.conf").write_text("[scrub]\nrate = 4M\n")
    for more in ([], ["--anew"]):
        run(str(PROGRAM), "scrub", "start", "data", *more)
        now = status()
        assert now["state"] == "running" and now["permille"] < 1000, now
        run(str(PROGRAM), "scrub", "stop", "data")
        assert status()["state"] == "stopped"
    # killed at once: it goes on later, in place of one that was stopped, one that would go on,
    # and one that is finished
    for more in (["--anew"], ["--anew"], [], ["--anew"]):
        if not more:
            (state / "dm-remapd.conf").unlink()
            assert scrub().returncode == OK and status()["state"] == "finished"
            (state / "dm-remapd.conf").write_text("[scrub]\nrate = 4M\n")
        run(str(PROGRAM), "scrub", "start", "data", *more)
        os.kill(at_work(), signal.SIGKILL)
        wait_for(lambda: status()["state"] != "running", "its end", 30)
        assert status()["state"] == "interrupted"


def at_work() -> int:
    """Who scrubs the set; by /proc, as a call of the command takes too long."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "cmdline").read_bytes().endswith(b"\0--\0run\0data\0"):
                return int(place.name)
    raise AssertionError("nobody scrubs")


def test_one_that_is_not_begun_forgets_nothing(rig: Rig, state: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd refuses the unit: what was interrupted goes on later, and is not "finished"."""
    create(rig)
    (state / "dm-remapd.conf").write_text("[scrub]\nrate = 4M\n")
    process = begin()
    wait_for(lambda: status()["state"] == "running" and status()["permille"], "it to begin", 60)
    process.kill()
    process.wait()
    before = status()
    assert before["state"] == "interrupted"
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    systemd = Path("/run/systemd/system")
    systemd.mkdir(parents=True)
    try:
        assert "systemctl" in refused(FAILED, "scrub", "start", "data", "--anew")
        # nor is it believed to have begun where the caller ignores what becomes of its children
        told = subprocess.run([str(PROGRAM), "scrub", "start", "data"], capture_output=True,
                              preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        assert told.returncode == FAILED and b"systemctl" in told.stderr, told
    finally:
        systemd.rmdir()
    assert status() == before


@pytest.mark.long
def test_it_ends_when_it_said(rig: Rig) -> None:
    """Within a factor of two, at each moment but the last few seconds."""
    create(rig)
    process = begin("--rate", "4M", "--quiet")
    promises: list[tuple[float, float]] = []
    while process.poll() is None:
        if left := status()["seconds_left"]:
            promises.append((time.monotonic(), left))
        time.sleep(0.5)
    end = time.monotonic()
    assert process.returncode == OK
    found = [(round(end - at, 1), left) for at, left in promises if end - at > 4]
    print("seconds to its end, and promised:", *found)
    assert len(found) > 10
    assert [pair for pair in found if not pair[0] / 2 < pair[1] < pair[0] * 2] == []


def test_others_come_first(rig: Rig) -> None:
    """Writes that wait for the disk take hardly longer while a scrub runs."""
    create(rig)
    rig.main.delay("read", 8)
    rig.main.delay("write", 8)
    device = Device("/dev/mapper/data", "data")

    def median_ms() -> float:
        times = []
        for n in range(80):
            begin_s = time.monotonic()
            device.pwrite(8 * n, b"y" * 4096, fua=True)
            times.append((time.monotonic() - begin_s) * 1000)
            time.sleep(0.02)
        return sorted(times)[40]

    def read_mib() -> float:
        return float((64 + 8) * status()["permille"] / 1000)
    alone = median_ms()
    process = begin("--quiet")
    wait_for(lambda: status()["state"] == "running" and status()["permille"], "it to begin", 60)
    median_ms()    # it backs off
    before, begin_s = read_mib(), time.monotonic()
    beside = median_ms()
    spent_s, mib = time.monotonic() - begin_s, read_mib() - before
    print(f"alone {alone:.1f} ms, beside a scrub {beside:.1f} ms, which read {mib:.1f} MiB "
          f"in {spent_s:.1f} s")
    assert process.poll() is None
    # one read a second may be in the way; how long a write takes depends on the machine
    assert mib <= spent_s + 2 and beside < 1.5 * alone + 5
    device.close()
    process.terminate()
    assert process.wait(60) == OK
    assert status()["state"] == "interrupted"


def test_slow_reads_are_listed(rig: Rig) -> None:
    create(rig)
    rig.main.bad(60_000, kind="read", action="slow", delay_ms=1500)
    assert scrub().returncode == OK
    slow, = status()["set"]["slow"]
    assert slow["sector"] <= 60_000 < slow["sector"] + slow["nr_sectors"] and slow["ms"] >= 1400
    assert "suspicious" in output("scrub", "status", "data")


def test_the_spare(rig: Rig) -> None:
    """Free slots and copies of the metadata are read, too; damage to the copies is mended."""
    create(rig)
    rig.spare.bad(9000, kind="read")
    copies = rig.media("spare").read(8, 8)
    rig.media("spare").write(8, bytes(4096))
    assert scrub().returncode == OK
    assert unreadable("spare") == whole_units({9000}) and unreadable() == set()
    assert status()["repaired"] >= 1 and rig.media("spare").read(8, 8) != bytes(4096)
    assert copies
    reasons = json.loads(output("health", "data", "--json"))["sets"][0]["reasons"]
    assert "1 sector" in next(r["text"] for r in reasons if r["code"] == "unreadable")


def test_a_slot_that_cannot_be_read(rig: Rig) -> None:
    """What the spare serves and cannot give is unreadable, not salvaged: nothing was moved."""
    create(rig)
    device = Device("/dev/mapper/data", "data")
    device.pwrite(90_000, b"x" * 4096)
    device.close()
    output("remap", "data", "90000", "8", "--yes")
    slot, = [entry["slot"] for entry in json.loads(output("show", "data", "--json"))["remaps"]
             if entry["sector"] == 90_000]
    settle(rig)
    rig.spare.bad(Region(rig).slot(slot), 8, kind="read")
    assert scrub().returncode == OK
    told = status()["last"]
    assert (told["unreadable"], told["salvaged"], told["spare_unreadable"]) == (8, 0, 8)
    assert unreadable() == set(range(90_000, 90_008))
    hits = json.loads(output("files", "data", "--unreadable", "--json"))["hits"]
    assert sum(hit["nr_sectors"] for hit in hits) == 8


def test_without_systemd_state_is_private(rig: Rig, state: Path) -> None:
    create(rig)
    assert scrub("--rate", "100").returncode == USAGE
    assert scrub("--quiet").returncode == OK
    file, = state.glob("*.scrub")
    assert file.stat().st_mode & 0o777 == 0o600 and os.getuid() == 0
    assert dmremap("scrub", "status", "nothing").returncode == 3


def codes() -> set[str]:
    told, = json.loads(output("health", "data", "--json"))["sets"]
    return {reason["code"] for reason in told["reasons"]}


@pytest.mark.long
def test_a_scratch_is_no_storm(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrub reads each sector of it, and it is one error; many places are many errors."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    create(rig)
    rig.main.bad(50_000, 60, kind="read")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        wait_for(lambda: list(tmp_path.glob("*.history")), "the first point", 30)
        assert scrub().returncode == OK
        assert rig.status("data")["read_errors"] > 20
        daemon.wait_for(DM_REMAP_VERDICT="watch")
        daemon.reload()
        time.sleep(8)    # another verdict
        assert codes() == {"main-errors", "unreadable"}
        assert {entry["DM_REMAP_VERDICT"] for entry in daemon.find(DM_REMAP_EVENT="health")} == \
            {"watch"}
        for place in range(12):
            rig.main.bad(60_000 + 4096 * place, kind="read")
        assert scrub().returncode == OK
        daemon.wait_for(DM_REMAP_VERDICT="failing")
        assert "errors-fast" in codes()
    assert len(unreadable()) == len(whole_units({*range(50_000, 50_060),
                                                 *(60_000 + 4096 * n for n in range(12))}))


def marks(*more: str) -> tuple[str, str]:
    """The cells of main and of the spare."""
    text = output("map", "data", "--ascii", "--width", "107", *more)
    main, spare = text.split("\nspare:")
    return tuple("".join(line.split("|")[1] for line in part.splitlines() if "|" in line)
                 for part in (main, spare))    # type: ignore[return-value]


def metrics() -> dict[str, float]:
    lines = output("metrics").splitlines()
    return {line.split("{")[0] + "".join(line.split("part=")[1:]).split("}")[0]:
            float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("dm_remap_scrub")}


def test_map_and_metrics(rig: Rig, tmp_path: Path) -> None:
    """What was read, what could not be, and what was only slow, while it runs and after it."""
    create(rig)
    assert ":" not in marks()[0] and metrics() == {"dm_remap_scrub_running": 0}
    rig.main.bad(50_000, 60, kind="read")
    rig.main.bad(90_000, kind="read", action="slow", delay_ms=1500)
    rig.spare.bad(9000, kind="read")
    process = begin("--rate", "8M")
    wait_for(lambda: status()["permille"] > 200, "a part of it", 60)
    told = metrics()
    assert told["dm_remap_scrub_running"] == 1
    assert 0 < told["dm_remap_scrub_open_sectors"] < told["dm_remap_scrub_sectors"]
    assert "dm_remap_scrub_end_timestamp_seconds" not in told
    read = marks()[0]
    assert read.count(":") > len(read) // 10 and "." in read
    process.kill()
    process.wait()
    assert scrub().returncode == OK
    main, spare = marks()
    total = 64 * 2048
    assert main[50_000 * len(main) // total] == "?" == main[90_000 * len(main) // total]
    assert set(main) == set("o:?") and set(spare) <= set(":?-+*#o.") and spare.count("?") == 1
    told = metrics()
    assert told["dm_remap_scrub_running"] == told["dm_remap_scrub_open_sectors"] == 0
    assert told['dm_remap_scrub_unreadable_sectors"set"'] == status()["last"]["unreadable"] >= 60
    assert told['dm_remap_scrub_unreadable_sectors"spare"'] == len(whole_units({9000}))
    assert told["dm_remap_scrub_slow_reads"] == 1
    assert abs(told["dm_remap_scrub_end_timestamp_seconds"] - time.time()) < 600
    assert "dm_remap_scrub_good_timestamp_seconds" not in told
    cells = {cell["sector"]: cell for cell in json.loads(output("map", "data", "--json"))["main"]}
    assert sum(cell["suspicious"] for cell in cells.values()) >= 60
    output("map", "data", "--svg", str(tmp_path / "map.svg"))
    assert "suspicious sectors</title>" in (tmp_path / "map.svg").read_text()
    # what is remapped is no riddle any more
    output("remap", "data", "49992", "72")
    assert marks()[0][50_000 * len(main) // total] == "X"
    assert sum(cell["suspicious"] for cell in json.loads(
        output("map", "data", "--json"))["main"]) < 4096


@pytest.mark.long
@pytest.mark.disks(main="320M:serial=on", spare="8M")
def test_fsync_takes_as_long_as_without_it(rig: Rig, mounted: Any, state: Path) -> None:
    """Within a tenth, on a disk that does one thing after the other: a write takes 8 ms, the
    MiB that a scrub reads at once 16 ms, a seek and its transfer.

    By turns while the scrub works, and while it is stopped: the machine has other things to do, too.
    """
    create(rig)
    run(*KINDS["ext4"], "/dev/mapper/data")
    place = mounted("/dev/mapper/data", "ext4")
    rig.main.delay("write", 8)
    rig.main.delay("read", 2)    # such a read is eight commands
    fd = os.open(place / "log", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, bytes(4096), 0)
    os.fsync(fd)

    def fsync_ms(nr: int) -> list[float]:
        taken = []
        for _ in range(nr):
            begun = time.monotonic()
            os.pwrite(fd, os.urandom(4096), 0)
            os.fsync(fd)
            taken.append((time.monotonic() - begun) * 1000)
            time.sleep(0.02)
        return taken
    process = begin("--quiet")
    wait_for(lambda: status()["state"] == "running" and status()["permille"], "it to begin", 60)
    fsync_ms(60)    # it backs off
    ratios: list[float] = []
    process.send_signal(signal.SIGSTOP)
    before = scrubbed_sectors()
    for _ in range(8):
        alone = sorted(fsync_ms(30))[15]
        process.send_signal(signal.SIGCONT)
        fsync_ms(10)    # what it reads at once after the stop
        beside = sorted(fsync_ms(30))[15]
        print(f"median of fsync alone {alone:.1f} ms, beside a scrub {beside:.1f} ms")
        ratios.append(beside / alone)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
    process.send_signal(signal.SIGCONT)
    assert process.poll() is None and scrubbed_sectors() > before    # it was at work
    os.close(fd)
    # what else this machine does makes some of them worse; a scrub in the way, all
    assert sorted(ratios)[2] < 1.1, ratios
    process.terminate()
    assert process.wait(60) == OK


def scrubbed_sectors() -> float:
    return sum(cell["scrubbed"] for cell in json.loads(output("map", "data", "--json"))["main"])
