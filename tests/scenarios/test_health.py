# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk from good to failed: whoever is asked says the same, and what to type.

What follows from months of history is in tests/unit/test_verdict.c and test_history.c, where time
is a number.
"""

import json
import os
import re
import signal
import subprocess
import time
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.lib import Device, Rig, pattern, wait_for
from tests.scenarios.remapd import Daemon, running
from tests.scenarios.sets import NOT_FOUND, PROGRAM, USAGE, create, dmremap, output, refused

pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]
EXIT = {"good": 0, "watch": 1, "failing": 2, "failed": 2}
OLD_WORD = {"good": "good", "watch": "degraded", "failing": "failing", "failed": "failing"}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return tmp_path


def health() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(output("health", "data", "--json"))["sets"][0]
    return told


def codes() -> set[str]:
    return {reason["code"] for reason in health()["reasons"]}


def agree(verdict: str, daemon: Daemon) -> None:
    """health, status, list, the check for monitors and the last word of the journal."""
    told, = json.loads(output("status", "--json"))["devices"]
    listed, = json.loads(output("list", "--json"))["sets"]
    shown = health()
    assert told["verdict"] == listed["verdict"] == shown["verdict"] == verdict, shown
    assert told["health"] == listed["health"] == OLD_WORD[verdict]
    assert (told["reason"] or "") == "; ".join(reason["text"] for reason in shown["reasons"])
    assert f"health     {verdict}" in output("status", "data")
    assert output("list").splitlines()[1].split()[2] == verdict
    assert output("health").splitlines()[0] == f"data: {verdict}"
    assert dmremap("status", "--check").returncode == EXIT[verdict]
    entries = daemon.find(DM_REMAP_EVENT="health", DM_REMAP_NAME="data")
    assert (entries[-1]["DM_REMAP_VERDICT"] if entries else "good") == verdict
    for reason in shown["reasons"]:
        assert reason["text"] in output("health", "data") and reason["advice"], reason


@pytest.mark.long
def test_a_disk_from_good_to_failed(rig: Rig, tmp_path: Path) -> None:
    create(rig)
    device = Device("/dev/mapper/data", "data")
    total = rig.status("data")["total"]
    written = iter(range(8, 8 * total, 8))

    def fail_writes(until_used: int) -> None:
        while rig.status("data")["used"] < until_used:
            sector = next(written)
            rig.main.bad(sector, kind="write")
            device.pwrite(sector, pattern(sector))

    with running(tmp_path, "[errors]\ncount = 8\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        wait_for(lambda: list(tmp_path.glob("*.history")), "the first point", 30)
        agree("good", daemon)

        used = rig.status("data")["used"]
        fail_writes(used + 1)
        told = daemon.wait_for(DM_REMAP_VERDICT="watch")
        assert told["PRIORITY"] == "4" and "the main device had 1 error" in told["MESSAGE"]
        assert told["DM_REMAP_HEALTH"] == "degraded" and "dmremap health data" in told["MESSAGE"]
        assert codes() == {"main-errors"}
        agree("watch", daemon)

        fail_writes(used + 12)
        told = daemon.wait_for(DM_REMAP_VERDICT="failing")
        assert told["PRIORITY"] == "2"
        assert codes() == {"main-errors", "errors-fast"}
        agree("failing", daemon)

        rig.main.bad(8000, 4, kind="read")
        output("remap", "data", "8000", "8")
        wait_for(lambda: "sectors are lost" in daemon.find(DM_REMAP_EVENT="health")[-1]["MESSAGE"],
                 "the loss in the journal", 30)
        assert codes() == {"main-errors", "errors-fast", "lost-sectors"}
        agree("failing", daemon)

        fail_writes(total * 9 // 10 + 1)
        wait_for(lambda: "of the spare is used"
                 in daemon.find(DM_REMAP_EVENT="health")[-1]["MESSAGE"], "its use", 30)
        assert "spare-use" in codes()
        agree("failing", daemon)

        with pytest.raises(OSError):
            fail_writes(total + 1)
        assert rig.status("data")["mode"] == "full"
        daemon.wait_for(DM_REMAP_VERDICT="failed")
        assert "mode" in codes()
        agree("failed", daemon)
        # a change each, and no more: nothing is said again
        time.sleep(7)
        said = [entry["DM_REMAP_VERDICT"] for entry in daemon.find(DM_REMAP_EVENT="health")]
        assert [word for word, before in zip(said, ["", *said]) if word != before] == \
            ["watch", "failing", "failed"]
        assert len(said) <= 8
        daemon.stop()
    with running(tmp_path) as daemon:    # over a restart what was said is known
        daemon.wait_for(DM_REMAP_EVENT="found")
        time.sleep(4)
        assert daemon.find(DM_REMAP_EVENT="health") == []
        agreed = health()["verdict"]
        assert agreed == "failed"
    device.close()


def test_a_history_is_shown_and_drawn(rig: Rig, tmp_path: Path) -> None:
    create(rig)
    device = Device("/dev/mapper/data", "data")
    assert "there is no history" in output("history", "data")
    assert "too few points" in output("history", "data", "--plot")
    assert "no history" in output("health", "data")
    assert output("health", "data", "--record").startswith("good 0 saved:")
    time.sleep(1.1)
    rig.main.bad(800, kind="write")
    device.pwrite(800, pattern(1))
    assert re.match(r"watch [0-9a-f]+ saved: the main device had 1 error$",
                    output("health", "data", "--record"), re.MULTILINE)
    past = json.loads(output("history", "data", "--json"))
    assert [point["verdict"] for point in past["points"]] == ["good", "watch"]
    assert past["growth"]["day"]["relocations"] == past["growth"]["month"]["slots"] == 1
    assert past["forecast"]["full"] is None and "too short" in past["forecast"]["text"]
    text = output("history", "data")
    assert "2 points since" in text and "forecast: none" in text
    assert len(output("history", "data", "--plot").splitlines()) == 14
    picture = tmp_path / "picture.svg"
    output("history", "data", "--svg", str(picture), "--quiet")
    assert picture.read_text().startswith("<svg ") and "polyline" in picture.read_text()
    refused(USAGE, "health", "data", "--record", "--json")
    refused(USAGE, "health", "data", "--record", "--fast", "7")
    # what a power cut tore is passed over, and what the daemon saw counts
    file, = tmp_path.glob("*.history")
    with file.open("ab") as torn:
        torn.write(b"h1 17")
    assert "failing" in output("health", "data", "--record", "--fast", "20/3600")
    assert codes() == {"main-errors", "errors-fast"}
    assert len(json.loads(output("history", "data", "--json"))["points"]) == 3
    # that is known for an hour, unless who counts says otherwise
    assert "failing" in output("health", "data", "--record")
    assert "watch" in output("health", "data", "--record", "--fast", "0/3600")
    assert codes() == {"main-errors"}
    device.close()


def _second(date: str) -> float:
    return datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp()


def test_a_forecast(rig: Rig, tmp_path: Path) -> None:
    """Ten days of history are planted: a date with its interval, and a reason to act."""
    create(rig)
    output("remap", "data", "800", "2400")
    told = rig.status("data")
    uuid = json.loads(output("list", "--json"))["sets"][0]["uuid"]
    now = int(time.time())
    lines = []
    for hour in range(240, 0, -1):
        used = told["used"] * (240 - hour) // 240
        point = [now - hour * 3600, 0, 0, 0, 0, used, told["total"], *[0] * 9]
        line = "h1 " + " ".join(map(str, point))
        lines.append(f"{line} {zlib.crc32(line.encode()):08x}\n")
    (tmp_path / f"{uuid}.history").write_text("".join(lines))
    past = json.loads(output("history", "data", "--json"))
    assert len(past["points"]) == 240 and past["growth"]["month"]["slots"] >= told["used"] - 2
    left = (told["total"] - told["used"]) * 10 / told["used"]
    full = _second(past["forecast"]["full"])
    assert abs(full - now - left * 86400) < 0.05 * left * 86400
    assert past["forecast"]["early"] < past["forecast"]["full"] < past["forecast"]["late"]
    assert "spare-fills" in codes() and health()["verdict"] == "failing"
    told_later = health()["forecast"]
    assert told_later["text"] == past["forecast"]["text"]
    for date in ("early", "full", "late"):    # which are told from the second on when it is asked
        assert abs(_second(told_later[date]) - _second(past["forecast"][date])) < 600
    assert "the spare will be full about" in output("health")
    assert f"dm_remap_spare_full_timestamp_seconds{{name=\"data\",uuid=\"{uuid}\"}}" in \
        output("metrics")
    output("history", "data", "--svg", str(tmp_path / "x.svg"))
    assert "stroke-dasharray" in (tmp_path / "x.svg").read_text()


def test_a_history_that_cannot_be_written(rig: Rig, tmp_path: Path) -> None:
    """The verdict is told all the same, and the failure once."""
    create(rig)
    device = Device("/dev/mapper/data", "data")
    uuid = json.loads(output("list", "--json"))["sets"][0]["uuid"]
    (tmp_path / f"{uuid}.history").mkdir()
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        daemon.wait_for(DM_REMAP_VERDICT="watch")
        rig.main.bad(1600, kind="read")
        output("remap", "data", "1600", "8")
        wait_for(lambda: "is lost" in daemon.find(DM_REMAP_EVENT="health")[-1]["MESSAGE"],
                 "the loss in the journal", 30)
        assert len([entry for entry in daemon.entries
                    if "cannot write its history" in entry["MESSAGE"]]) == 1
    device.close()


def disk_says(directory: Path, crc: int = 0, hangs: bool = False) -> None:
    """A smartctl of the test: it notes how it was called, and says the same of each disk."""
    told = {"model_name": "Test", "serial_number": "1", "smart_status": {"passed": True},
            "ata_smart_attributes": {"table": [{"id": 197, "raw": {"value": 0}},
                                               {"id": 199, "raw": {"value": crc}}]}}
    program = directory / "bin" / "smartctl"
    program.parent.mkdir(exist_ok=True)
    (directory / "told.json").write_text(json.dumps(told))
    program.write_text(f"#!/bin/sh\necho $* >>{directory}/calls\n"
                       + ("exec sleep 1000\n" if hangs else f"cat {directory}/told.json\n"))
    program.chmod(0o755)
    os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def test_a_disk_says_that_its_cable_is_bad(rig: Rig, tmp_path: Path, path: None) -> None:
    create(rig)
    uuid = json.loads(output("list", "--json"))["sets"][0]["uuid"]
    disk_says(tmp_path, crc=17)
    asked, = json.loads(output("smart", "data", "--json"))["sets"]
    assert (asked["main"]["state"], asked["main"]["crc"], asked["main"]["wear"]) == \
        ("passed", 17, None)
    assert asked["main"]["disk"] == str(rig.main.kernel_path)
    assert output("smart").split().count("passed") == 2
    assert not list(tmp_path.glob("*.smart"))    # kept only when that is asked for
    assert all("-n standby" in call for call in (tmp_path / "calls").read_text().splitlines())
    # a day ago there were fewer errors
    output("smart", "--record")
    record = tmp_path / f"{uuid}.main.smart"
    fields = record.read_text().split()[:-1]
    fields[1] = str(int(fields[1]) - 86400)
    fields[fields.index("17")] = "3"
    line = " ".join(fields)
    record.write_text(f"{line} {zlib.crc32(line.encode()):08x}\n")
    (tmp_path / "calls").unlink()
    with running(tmp_path) as daemon:
        told = daemon.wait_for(DM_REMAP_VERDICT="watch")
        assert "cable of the main device" in told["MESSAGE"]
        agree("watch", daemon)
        assert codes() == {"cable"} and "the disk itself is not at fault" in output("health")
        assert len(record.read_text().splitlines()) == 2
        daemon.reload()
        time.sleep(2)
        # once an hour, and of the spare it is known for less than that
        assert len((tmp_path / "calls").read_text().splitlines()) == 1


def test_disks_of_a_fallback_are_not_gone(rig: Rig, tmp_path: Path, path: None) -> None:
    """Its table does not say which disk has which role."""
    create(rig)
    disk_says(tmp_path)
    output("deactivate", "data")
    output("activate", "data", "--fallback")
    asked, = json.loads(output("smart", "data", "--json"))["sets"]
    assert {asked[role]["state"] for role in ("main", "spare")} == {"unknown"}


def test_without_smartctl(rig: Rig, tmp_path: Path, path: None) -> None:
    """Said when it is asked for, and not before."""
    create(rig)
    assert "not installed" in refused(NOT_FOUND, "smart", "data")
    assert dmremap("smart", "--json").stdout == ""    # no half of an object
    output("smart", "--record")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        wait_for(lambda: list(tmp_path.glob("*.history")), "the first point", 30)
        time.sleep(2)
        assert not [entry for entry in daemon.hear().entries if "smart" in entry["MESSAGE"]]
        assert health()["verdict"] == "good"


def test_a_smartctl_that_hangs_holds_nobody_up(rig: Rig, tmp_path: Path, path: None) -> None:
    create(rig)
    device = Device("/dev/mapper/data", "data")
    disk_says(tmp_path, hangs=True)
    with running(tmp_path, "[watch]\npatience = 5\n") as daemon:
        wait_for(lambda: (tmp_path / "calls").exists(), "smartctl", 30)
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        begin = time.monotonic()
        daemon.wait_for(DM_REMAP_EVENT="relocated")
        daemon.wait_for(DM_REMAP_VERDICT="watch")
        daemon.reload()
        assert time.monotonic() - begin < 15
        told = daemon.wait_for(DM_REMAP_EVENT="late", DM_REMAP_VERB="smart")
        assert told["DM_REMAP_NAME"] == "data"
        assert output("save", "data") is not None    # other commands are not held up
        begin = time.monotonic()
        assert daemon.stop() == 0 and time.monotonic() - begin < 10
    device.close()
    assert not list(tmp_path.glob("*.smart"))


@pytest.mark.long
def test_one_smartctl_waits_for_a_disk(rig: Rig, tmp_path: Path, path: None) -> None:
    """One that hangs with its disk outlives what has started it; there is no second one."""
    create(rig)
    disk_says(tmp_path)
    program, hang = tmp_path / "bin" / "smartctl", tmp_path / "hang"
    text = program.read_text()
    # a child of the script stays when the script is killed, as one that waits in the kernel does
    program.write_text(text.replace("cat ", f"[ -e {hang} ] && {{ sleep 1000 & echo $! >{hang}; wait; }}\n"
                                            "cat "))
    hang.touch()
    calls = tmp_path / "calls"
    first = subprocess.Popen([PROGRAM, "smart", "data"], stdout=subprocess.PIPE)
    wait_for(hang.read_text, "smartctl", 30)
    first.kill()
    first.wait()
    second = subprocess.Popen([PROGRAM, "smart", "data"], stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    assert len(calls.read_text().splitlines()) == 1 and second.poll() is None
    pid = int(hang.read_text())
    hang.unlink()
    os.kill(pid, 9)
    assert second.communicate(timeout=60)[0].split().count("passed") == 2
    assert len(calls.read_text().splitlines()) == 3


def samples(text: str) -> dict[str, float]:
    """Of the text form: each metric has its help and type before its samples."""
    found: dict[str, float] = {}
    typed: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, metric, kind = line.split(" ")
            assert kind in ("gauge", "counter") and (kind == "counter") == metric.endswith("_total")
            typed.add(metric)
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)*\})? ([0-9]+)', line)
            assert match and match[1] in typed, line
            assert line.rsplit(" ", 1)[0] not in found
            found[line.rsplit(" ", 1)[0]] = float(match[3])
    return found


def test_metrics(rig: Rig, tmp_path: Path) -> None:
    assert samples(output("metrics")) == {"dm_remap_sets": 0}
    create(rig)
    device = Device("/dev/mapper/data", "data")
    uuid = json.loads(output("list", "--json"))["sets"][0]["uuid"]
    labels = f'name="data",uuid="{uuid}"'
    file = tmp_path / "dm-remap.prom"
    with running(tmp_path, f"[metrics]\nfile = {file}\n") as daemon:
        wait_for(file.exists, "the file", 30)
        assert file.stat().st_mode & 0o777 == 0o644
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        daemon.wait_for(DM_REMAP_VERDICT="watch")
        wait_for(lambda: samples(file.read_text())[
            f'dm_remap_verdict{{{labels},verdict="watch"}}'] == 1, "the verdict", 30)
        told = samples(file.read_text())
        assert told[f'dm_remap_reason{{{labels},reason="main-errors"}}'] == 1
        assert told[f'dm_remap_verdict{{{labels},verdict="good"}}'] == 0
        assert told[f"dm_remap_relocations_total{{{labels}}}"] == 1
        assert told[f"dm_remap_spare_slots{{{labels}}}"] == rig.status("data")["total"]
        assert told[f"dm_remap_spare_used_slots{{{labels}}}"] == rig.status("data")["used"]
        assert told[f'dm_remap_member_present{{{labels},member="spare"}}'] == 1
        assert f'dm_remap_mode{{{labels},mode="rw"}}' in told
        assert not [name for name in told if "spare_full" in name]    # there is no forecast
        assert [path.name for path in tmp_path.glob("dm-remap.prom*")] == [file.name]
        # what cannot be written is told once, and what was written before stays
        daemon.config.write_text(f"[metrics]\nfile = {tmp_path}/none/x.prom\n")
        for _ in range(2):
            daemon.reload()
            time.sleep(2)
        assert len(daemon.find(DM_REMAP_VERB="metrics", DM_REMAP_EVENT="failed")) == 1
    device.close()


def missing() -> int | None:
    told, = json.loads(output("status", "data", "--json"))["devices"]
    nr: int | None = told["backup"]["missing"]
    return nr


def test_a_backup_at_the_end_takes_no_save_away(rig: Rig, tmp_path: Path) -> None:
    """A save waits for the disk when the daemon stops; the backup beside it ends before."""
    create(rig)
    device = Device("/dev/mapper/data", "data")
    rig.main.bad(40, 8, kind="read")
    rig.main.bad(800, kind="write")
    with running(tmp_path, "[backup]\ndelay = 600\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        device.pwrite(800, pattern(1))
        daemon.wait_for(DM_REMAP_EVENT="saved")
        wait_for(lambda: not daemon.commands(), "the save to end", 60)
        assert missing() == 1
        before = rig.status("data")["saves_ok"]
        rig.spare.hold("write", 0, rig.spare.size_bytes // 512)
        with pytest.raises(OSError):
            device.pread(40)
        wait_for(lambda: rig.spare.held(), "the save to wait", 60)
        with pytest.raises(OSError):
            device.pread(41)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="41")
        daemon.send(signal.SIGTERM)
        wait_for(lambda: "STOPPING=1" in daemon.hear().told, "the end to begin", 60)
        wait_for(lambda: daemon.commands() == 1, "only the save to be left", 60)
        rig.spare.release()
        assert daemon.process.wait(60) == 0
        assert missing() == 0 and rig.status("data")["saves_ok"] == before + 2
    device.close()


def test_a_backup_that_is_due_is_not_left_at_the_end(rig: Rig, tmp_path: Path) -> None:
    """The table changed while no daemon ran, and the machine is rebooted before the delay is over."""
    create(rig)
    output("remap", "data", "800", "8")
    assert missing() == 1
    with running(tmp_path, "[backup]\ndelay = 600\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        assert daemon.stop() == 0
        assert missing() == 0


@pytest.mark.long
def test_backups_are_renewed(rig: Rig, tmp_path: Path) -> None:
    create(rig)
    device = Device("/dev/mapper/data", "data")
    uuid = json.loads(output("list", "--json"))["sets"][0]["uuid"]
    file, copy = tmp_path / f"{uuid}.backup", tmp_path / "stick" / f"{uuid}.backup"
    copy.parent.mkdir()
    first = file.read_bytes()
    assert missing() == 0 and "it has all remaps" in output("status")

    def remap(*sectors: int) -> None:
        for sector in sectors:
            rig.main.bad(sector, kind="write")
            device.pwrite(sector, pattern(sector))

    settings = f"[backup]\ndelay = 10\ncopies = {copy.parent}, {tmp_path}/none\n"
    with running(tmp_path, settings) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        told = daemon.wait_for(DM_REMAP_EVENT="failed", DM_REMAP_VERB="backup")
        assert "check that it is mounted" in told["MESSAGE"] and copy.exists()
        remap(800, 1600)
        assert missing() == 2 and "2 changes of the table" in output("status")
        before = time.monotonic()
        wait_for(lambda: missing() == 0, "the backup", 60)
        assert time.monotonic() - before > 5    # what comes at once is in one backup
        wait_for(lambda: copy.read_bytes() == file.read_bytes(), "the copy", 10)
        assert (tmp_path / f"{uuid}.backup.1").read_bytes() != file.read_bytes()
        remap(2400)
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="2400")
        time.sleep(3)
        assert missing() == 1
        assert daemon.stop() == 0    # and when it ends
        assert missing() == 0 and copy.read_bytes() == file.read_bytes()
        assert len(daemon.find(DM_REMAP_EVENT="failed", DM_REMAP_VERB="backup")) == 1
    # what goes and what comes may add up to nothing
    with running(tmp_path, "[backup]\ndelay = 10\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        time.sleep(12)    # the one that each start leads to
        rig.main.clear()
        output("unremap", "data", "2400")
        output("remap", "data", "3200", "--yes")
        assert missing()
        wait_for(lambda: missing() == 0, "the backup", 60)
    output("unremap", "data", "3200")
    assert missing() == 1 and "1 change of the table" in output("status")
    # nothing to do, and nothing without a backup; a damaged one is no backup
    assert "renewed" in output("backup", "data", "--renew")
    assert "up to date" in output("backup", "data", "--renew")
    file.write_bytes(first[:-1])
    assert missing() is None and "is damaged" in output("status")
    assert "renewed" in output("backup", "data", "--renew")
    file.unlink()
    assert missing() is None and "none; make one with dmremap backup data" in output("status")
    refused(USAGE, "backup", "data", str(file), "--renew")
    refused(USAGE, "backup", "data", "--copies", "/tmp")
    # what was written is what restore-backup takes
    output("backup", "data", "--renew")
    device.close()
    output("deactivate", "data")
    assert "its metadata is intact" in dmremap(
        "restore-backup", str(file), str(rig.spare.kernel_path), "--yes").stderr
