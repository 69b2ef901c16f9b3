# SPDX-License-Identifier: GPL-2.0-or-later
"""What dm-remapd has hooks tell: summaries, the end of a trouble, and it waits for none of them.

How hooks run, and which are refused: packages/test_hooks.py. Days pass in unit/test_alert.c.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.lib import Rig, pattern, wait_for
from tests.scenarios.remapd import running

pytestmark = [pytest.mark.disks(main="1M", spare="640K"), pytest.mark.plain_only]
SETTINGS = "[hooks]\ninterval = 10\ntimeout = {}\n"


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    path = tmp_path / "hooks.d"
    path.mkdir()
    put(path / "note", f"printf '%s\\n' \"$DM_REMAP_JSON\" >>{tmp_path}/told")
    return path


def put(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def told(hooks: Path) -> list[dict[str, Any]]:
    path = hooks.parent / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_storm_is_a_few_alerts(rig: Rig, hooks: Path, tmp_path: Path) -> None:
    device = rig.create()
    with running(tmp_path, SETTINGS.format(5)) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        rig.main.bad(0, 400, kind="read")
        for sector in range(100, 200):
            with pytest.raises(OSError):
                device.pread(sector)
        daemon.wait_for(DM_REMAP_VERDICT="failing")
        # what is more urgent than the first alert does not wait for the end of the interval
        wait_for(lambda: told(hooks) and told(hooks)[-1]["priority"] == 2, "the alert", 30)
        assert {(alert["alert"], alert["name"]) for alert in told(hooks)} == {("news", "r0")}
        assert told(hooks)[-1]["verdict"] == "failing"
        assert told(hooks)[-1]["message"].startswith("r0: health is failing: ")
        # what was held back, and told as a number, comes with the next one
        wait_for(lambda: sum(alert["count"] for alert in told(hooks)) >= 22, "the rest", 60)
        assert len(told(hooks)) <= 4
        assert {"read-error", "health"} <= {word.split("=")[0] for alert in told(hooks)
                                            for word in alert["events"].split()}
        assert not daemon.find(DM_REMAP_EVENT="hook")


def test_a_set_has_one_name(rig: Rig, hooks: Path, tmp_path: Path) -> None:
    """Not that of device-mapper's encoding as well, as if it were another set."""
    device = rig.create("my\\x20disk")
    with running(tmp_path, SETTINGS.format(5)) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        rig.main.bad(100, kind="read")
        with pytest.raises(OSError):
            device.pread(100)
        daemon.wait_for(DM_REMAP_VERDICT="watch")
        wait_for(lambda: told(hooks), "the alert", 30)
        alert, = told(hooks)
        assert (alert["name"], alert["verdict"]) == ("my disk", "watch")
        assert {word.split("=")[0] for word in alert["events"].split()} >= {"read-error", "health"}


@pytest.mark.long
def test_the_end_is_told_once(rig: Rig, hooks: Path, tmp_path: Path) -> None:
    rig.create()
    rig.message("r0", "freeze")
    with running(tmp_path, SETTINGS.format(5)) as daemon:
        daemon.wait_for(DM_REMAP_VERDICT="watch")
        wait_for(lambda: told(hooks), "the alert", 30)
        rig.message("r0", "thaw")
        daemon.wait_for(DM_REMAP_VERDICT="good")
        wait_for(lambda: len(told(hooks)) == 2, "the end", 60)
        time.sleep(3)
    kinds = [(alert["alert"], alert["verdict"]) for alert in told(hooks)]
    assert kinds == [("news", "watch"), ("over", "good")]
    assert "health is good" in told(hooks)[1]["message"]


@pytest.mark.long
def test_one_that_hangs_holds_nobody_up(rig: Rig, hooks: Path, tmp_path: Path) -> None:
    """The loop goes on meanwhile; no second one is started; it is killed and that is told."""
    put(hooks / "hangs", f"echo x >>{tmp_path}/started; trap '' TERM; sleep 1000")
    put(hooks / "later", "exit 3")
    device = rig.create()
    rig.main.bad(0, 2000, kind="write")
    with running(tmp_path, SETTINGS.format(8)) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        device.pwrite(0, pattern(1))
        wait_for((tmp_path / "started").exists, "the hook", 30)
        begin = time.monotonic()
        device.pwrite(800, pattern(1))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="800")
        daemon.reload()
        assert time.monotonic() - begin < 6
        late = daemon.wait_for(DM_REMAP_EVENT="hook", DM_REMAP_HOOK="hangs")
        assert "did not end within 8 seconds and was killed" in late["MESSAGE"]
        assert late["PRIORITY"] == "3" and len(late["MESSAGE_ID"]) == 32
        assert "exit code 3" in daemon.wait_for(DM_REMAP_HOOK="later")["MESSAGE"]
        # what came meanwhile is told afterwards, and each failure is told
        wait_for(lambda: len(told(hooks)) >= 2, "the second alert", 60)
        wait_for(lambda: len(daemon.find(DM_REMAP_HOOK="later")) == 2, "its failure", 60)
        assert (tmp_path / "started").read_text() == "x\nx\n"
        # and a failing hook is no news for hooks
        assert all("hook" not in alert["events"] for alert in told(hooks))


@pytest.mark.long
def test_a_refusal_is_told_once(rig: Rig, hooks: Path, tmp_path: Path) -> None:
    put(hooks / "mine", f"touch {tmp_path}/ran")
    (hooks / "mine").chmod(0o777)
    rig.create()
    with running(tmp_path, SETTINGS.format(5)) as daemon:
        for number, verb in enumerate(("freeze", "thaw", "freeze"), 1):
            rig.message("r0", verb)
            wait_for(lambda: len(told(hooks)) == number, f"alert {number}", 60)
        refused = daemon.find(DM_REMAP_EVENT="hook")
        assert [entry["DM_REMAP_HOOK"] for entry in refused] == ["mine"]
        assert "others can write" in refused[0]["MESSAGE"] and "chmod go-w" in refused[0]["MESSAGE"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.long
def test_what_was_not_told_is_told_at_the_end(rig: Rig, hooks: Path, tmp_path: Path) -> None:
    rig.create()
    with running(tmp_path, "[hooks]\ninterval = 10000\n") as daemon:
        rig.message("r0", "freeze")
        wait_for(lambda: told(hooks), "the alert", 60)
        rig.message("r0", "thaw")
        daemon.wait_for(DM_REMAP_VERDICT="good")
        time.sleep(7)
        assert len(told(hooks)) == 1
        assert daemon.stop() == 0
    assert [alert["alert"] for alert in told(hooks)] == ["news", "over"]
