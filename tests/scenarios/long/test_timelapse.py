# SPDX-License-Identifier: GPL-2.0-or-later
"""Three months of a dying disk: at each step whoever is asked says the same (timelapse.py).

The kernel's time goes on as it does; it knows no dates. An error a day is a steady rate.
"""

import json
import os
import re
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.lib import Device, Rig, pattern, wait_for
from tests.scenarios.remapd import Daemon, running
from tests.scenarios.sets import PROGRAM, create, output
from tests.scenarios.timelapse import Clock

pytestmark = [pytest.mark.disks(main="8M", spare="640K"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]
DAY = 86400
EXIT = {"good": 0, "watch": 1, "failing": 2, "failed": 2}


class Lapse:
    """The set "data" with its daemon, its hook and its metrics, and what all of them say."""

    def __init__(self, rig: Rig, directory: Path, clock: Clock) -> None:
        self.rig, self.directory, self.clock = rig, directory, clock
        self.device = Device("/dev/mapper/data", "data")
        self.daemon: Daemon
        self._sectors = iter(range(8, 8192, 8))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={**os.environ, **self.clock.environment})

    def ask(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def status(self) -> dict[str, Any]:
        return self.rig.status("data")

    def advance(self, seconds: float) -> None:
        """When no child is at work, which would be late."""
        wait_for(lambda: not self.children(), "the end of its children", 60)
        self.clock.advance(seconds)
        self.daemon.reload()

    def children(self) -> list[str]:
        parent = str(self.daemon.process.pid)
        found = []
        for file in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if file.read_text().rsplit(")", 1)[1].split()[1] == parent:
                    found.append(file.parent.name)
        return found

    def points(self) -> int:
        return sum(len(file.read_text().splitlines())
                   for file in self.directory.glob("*.history"))

    def wait_a_day(self) -> None:
        """And until the daemon has looked; a verdict is reached a while after what it is about."""
        before = self.points()
        self.advance(DAY)
        wait_for(lambda: self.points() > before, "a point of the history", 60)

    def fail_a_write(self) -> None:
        sector = next(self._sectors)
        self.rig.main.bad(sector, kind="write")
        self.device.pwrite(sector, pattern(sector))

    def lose_a_sector(self) -> None:
        sector = next(self._sectors)
        self.rig.main.bad(sector, kind="read")
        output("remap", "data", str(sector), "8")

    def metrics(self) -> dict[str, float]:
        lines = (self.directory / "dm-remap.prom").read_text().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in lines if not line.startswith("#")}

    def told(self) -> dict[str, Any]:
        """The last alert about the set that the hook got; a child that a jump made late is no set."""
        lines = (self.directory / "told").read_text().splitlines() \
            if (self.directory / "told").exists() else []
        alerts: list[dict[str, Any]] = [alert for alert in map(json.loads, lines)
                                        if alert["name"] == "data"]
        return alerts[-1] if alerts else {"verdict": "good"}

    def words(self) -> dict[str, str]:
        """Who says what, each of them by its own way."""
        health, = self.ask("health", "data")["sets"]
        status, = self.ask("status", "data")["devices"]
        listed, = self.ask("list")["sets"]
        metrics = self.metrics()
        labels = f'name="data",uuid="{health["uuid"]}"'
        verdicts = [word for word in EXIT
                    if metrics[f'dm_remap_verdict{{{labels},verdict="{word}"}}'] == 1]
        entries = self.daemon.find(DM_REMAP_EVENT="health", DM_REMAP_NAME="data")
        return {
            "health": health["verdict"],
            "health, text": self.run("health").stdout.split()[1],
            "status": status["verdict"],
            "status, text": self.run("status", "data").stdout.split("health", 1)[1].split()[0].rstrip(":"),
            "list": listed["verdict"],
            "list, text": self.run("list").stdout.splitlines()[1].split()[2],
            "history": self.ask("history", "data")["points"][-1]["verdict"],
            "journal": entries[-1]["DM_REMAP_VERDICT"] if entries else "good",
            "metrics": " ".join(verdicts),
            "hook": self.told()["verdict"],
        }

    def agree(self, verdict: str, *codes: str) -> None:
        """All say VERDICT, for the reasons CODES, and have one forecast."""
        self.advance(120)    # what is gathered and written a little later is due
        end = time.monotonic() + 60
        while set((words := self.words()).values()) != {verdict} and time.monotonic() < end:
            pass
        assert words == dict.fromkeys(words, verdict)
        health, = self.ask("health", "data")["sets"]
        labels = f'name="data",uuid="{health["uuid"]}"'
        assert {reason["code"] for reason in health["reasons"]} == set(codes)
        assert self.run("status", "--check").returncode == EXIT[verdict]
        metrics = self.metrics()
        assert {name.split('reason="')[1].split('"')[0] for name in metrics
                if name.startswith("dm_remap_reason")} == set(codes)
        status, = self.ask("status", "data")["devices"]
        texts = [reason["text"] for reason in health["reasons"]]
        assert (status["reason"] or "") == "; ".join(texts)
        # the numbers in them grow without being news
        journal = " ".join(numberless(entry["MESSAGE"])
                           for entry in self.daemon.find(DM_REMAP_EVENT="health"))
        assert all(numberless(text) in journal for text in texts), (texts, journal)
        forecast = self.ask("history", "data")["forecast"]
        assert (forecast["full"] is None) == (
            f"dm_remap_spare_full_timestamp_seconds{{{labels}}}" not in metrics)
        if forecast["full"]:
            at = metrics[f"dm_remap_spare_full_timestamp_seconds{{{labels}}}"]
            assert abs(at - seconds(forecast["full"])) < DAY

    def full_at(self) -> float | None:
        told = self.ask("health", "data")["sets"][0]["forecast"]["full"]
        return seconds(told) if told else None


def numberless(text: str) -> str:
    """One error and many are the same news."""
    text = re.sub("[0-9-]+", "#", text)
    return text.replace("errors", "error").replace("sectors are", "sector is")


def seconds(date: str) -> float:
    return datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp()


@pytest.fixture
def lapse(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    hook = tmp_path / "hooks.d" / "note"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$DM_REMAP_JSON\" >>{tmp_path}/told\n")
    hook.chmod(0o755)
    create(rig)
    clock = Clock(tmp_path)
    made = Lapse(rig, tmp_path, clock)
    settings = f"[metrics]\nfile = {tmp_path}/dm-remap.prom\n"
    with running(tmp_path, settings, clock.wrap) as daemon:
        made.daemon = daemon
        daemon.wait_for(DM_REMAP_EVENT="found")
        wait_for(lambda: list(tmp_path.glob("*.history")), "the first point", 60)
        wait_for((tmp_path / "dm-remap.prom").exists, "the metrics", 60)
        yield made
    made.device.close()


def test_a_disk_that_dies_slowly(lapse: Lapse) -> None:
    total = lapse.status()["total"]
    print("slots:", lapse.status()["used"], "of", total)
    lapse.agree("good")
    assert lapse.full_at() is None

    lapse.wait_a_day()
    lapse.fail_a_write()
    lapse.agree("watch", "main-errors")
    assert lapse.full_at() is None

    # growth, from which there is a forecast after some days, which is far away
    for _ in range(3):
        lapse.wait_a_day()
        lapse.fail_a_write()
    lapse.agree("watch", "main-errors")
    assert lapse.full_at() is None
    while lapse.status()["used"] < total // 2 - 1:
        lapse.wait_a_day()
        lapse.fail_a_write()
    lapse.wait_a_day()
    lapse.lose_a_sector()
    lapse.agree("watch", "main-errors", "lost-sectors")
    half_way, forecast = lapse.clock.now(), lapse.full_at()
    assert forecast
    while lapse.status()["used"] < total * 9 // 10 + 1:
        lapse.wait_a_day()
        lapse.fail_a_write()
    lapse.agree("failing", "spare-fills", "spare-use", "main-errors", "lost-sectors")

    with pytest.raises(OSError):
        while lapse.status()["used"] <= total:
            lapse.wait_a_day()
            lapse.fail_a_write()
    assert lapse.status()["mode"] == "full"
    lapse.agree("failed", "mode", "spare-use", "main-errors", "lost-sectors")
    took, promised = lapse.clock.now() - half_way, forecast - half_way
    print(f"half-way: full in {promised / DAY:.1f} days; it took {took / DAY:.1f}")
    assert abs(promised - took) < 0.2 * took
