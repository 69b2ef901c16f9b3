# SPDX-License-Identifier: GPL-2.0-or-later
"""The command dmremap against the real module: true answers, and refusals that change nothing.

It is the program that `make userspace` has built; the guest sees the host's file system.
"""

import json
import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig, pattern
from tests.scenarios.ondisk import Spare

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "dmremap"
OK, FAILED, USAGE, NOT_FOUND, WAITING, REFUSED = range(6)
pytestmark = [pytest.mark.disks(main="1M", spare="640K"), pytest.mark.plain_only]


def dmremap(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def output(*arguments: str) -> str:
    result = dmremap(*arguments)
    assert result.returncode == OK, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_status_is_what_the_kernel_says(rig: Rig) -> None:
    assert json.loads(output("status", "--json")) == {"devices": []}
    device = rig.create()
    rig.main.bad(40, 16, kind="write")
    device.pwrite(40, pattern(1, 16))
    rig.main.bad(80, kind="read")
    with pytest.raises(OSError):
        device.pread(80)
    shown, = json.loads(output("status", "r0", "--json"))["devices"]
    wanted = rig.status()
    assert (shown["used_slots"], shown["total_slots"]) == (wanted["used"], wanted["total"])
    for key, value in wanted.items():
        if key not in ("used", "total"):
            assert shown[key] == (None if value == "none" else value), key
    assert shown["name"] == "r0" and shown["sectors"] == 2048
    assert shown["main"] == str(rig.main.kernel_path)
    assert shown["spare"] == str(rig.spare.kernel_path)
    assert shown["suspended"] == 0 and shown["open"] == 1
    text = output("status")
    assert "mode       rw" in text and "3 of 96 used" in text and "2 chunks" in text
    assert output("status", "/dev/mapper/r0") == output("status", device.path) == text


def test_modes_say_what_to_do(rig: Rig) -> None:
    rig.create()
    assert output("freeze", "r0", "--quiet") == ""
    assert "dmremap thaw" in output("status", "r0")
    output("thaw", "r0")
    assert "thaw" not in output("status", "r0")


def test_sectors_go_and_come_back(rig: Rig) -> None:
    device = rig.create()
    device.pwrite(0, pattern(7, 64))
    output("remap", "r0", "10", "20")
    assert rig.status()["used"] == 4
    assert "slot" in output("verify", "r0", "12")
    assert device.pread(0, 64) == pattern(7, 64)
    output("unremap", "r0", "10", "20")
    assert rig.status()["used"] == 1
    assert device.pread(0, 64) == pattern(7, 64)
    assert rig.media("main").read(0, 64) == pattern(7, 64)


def test_show_is_what_is_on_the_spare(rig: Rig) -> None:
    device = rig.create()
    rig.main.bad(40, 2, kind="write")
    device.pwrite(40, pattern(1, 2))
    rig.main.bad(80, kind="read")
    output("remap", "r0", "80", "8")
    lines = json.loads(output("show", "r0", "--json"))["remaps"]
    shown = {line["slot"]: (line["sector"], line["mask"], line["lost_mask"]) for line in lines}
    assert shown == {entry.slot: (entry.chunk * 8, f"0x{entry.redirected:02x}",
                                  f"0x{entry.lost:02x}")
                     for entry in Spare.of(rig).entries() if entry.state}
    assert {line["cause"] for line in lines} == {"probe", "write-error", "manual"}
    written = next(line for line in lines if line["cause"] == "write-error")
    assert written["error"] == "I/O error" and written["lost"] == 0
    assert "write-error" in output("show", "r0")


def test_messages_reach_the_user(rig: Rig) -> None:
    rig.create()
    assert "committed=" in output("metadata-status", "r0")
    before = rig.status()["saves_ok"]
    output("save", "r0")
    assert rig.status()["saves_ok"] == before + 1
    for verb in ("sync", "restore", "clear"):
        output(verb, "r0")
    reply, = json.loads(output("verify", "r0", "12", "--json"))["replies"]
    assert reply == {"name": "r0", "verb": "verify", "reply": "12 not remapped"}


def test_events_as_they_happen(rig: Rig) -> None:
    device = rig.create()
    with subprocess.Popen([str(PROGRAM), "events", "r0", "--follow", "--json"],
                          stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        rig.main.bad(0, 2000, kind="write")
        sector = 0
        while not select.select([follower.stdout], [], [], 0.2)[0]:    # not listening yet
            sector += 8
            device.pwrite(sector, pattern(1))
        event = json.loads(follower.stdout.readline())
        while event["event"] != "relocated":    # a step of spare use may come first
            event = json.loads(follower.stdout.readline())
        follower.kill()
    assert event["name"] == "r0"
    assert event["member"] == "main" and event["error"] == "I/O error"
    verdict = output("verify", "r0", str(event["sector"]))
    assert f"slot={event['slot']} " in verdict


def test_events_of_a_name_that_json_must_escape(rig: Rig) -> None:
    r"""dm writes a space in a name as \x20, which JSON must not take for an escape."""
    device = rig.create(r"my\x20disk")
    with subprocess.Popen([str(PROGRAM), "events", "my disk", "--follow", "--json"],
                          stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        rig.main.bad(0, 2000, kind="read")
        while not select.select([follower.stdout], [], [], 0.2)[0]:
            with pytest.raises(OSError):
                device.pread(8)
        event = json.loads(follower.stdout.readline())
        follower.kill()
    assert event["name"] == r"my\x20disk" and event["event"] == "read-error"


def test_wrong_arguments(rig: Rig) -> None:
    """One sentence, a documented exit code, nothing changed."""
    rig.create()
    before = rig.media("main").whole(), rig.media("spare").whole(), rig.status()
    for code, arguments in (
            (USAGE, []), (USAGE, ["nonsense"]), (USAGE, ["status", "a", "b"]),
            (USAGE, ["status", "--colour"]), (USAGE, ["remap", "r0"]),
            (USAGE, ["remap", "r0", "x"]), (USAGE, ["remap", "r0", "-1"]),
            (USAGE, ["remap", "r0", "1x"]), (USAGE, ["remap", "r0", "2048"]),
            (USAGE, ["remap", "r0", "2047", "2"]), (USAGE, ["remap", "r0", "5", "0"]),
            (USAGE, ["unremap", "r0", "0", "99999999999999999999"]),
            (USAGE, ["verify", "r0", "0", "1"]), (USAGE, ["save"]), (USAGE, ["save", "r0", "x"]),
            (NOT_FOUND, ["status", "r9"]), (NOT_FOUND, ["save", "r9"]),
            (NOT_FOUND, ["show", "/dev/mapper/r9"]), (NOT_FOUND, ["show", "/dev/dm-99"]),
            (NOT_FOUND, ["status", "01234567-89ab-cdef-0011-223344556677"]),
            (USAGE, ["status", "/dev/null"])):
        result = dmremap(*arguments)
        assert result.returncode == code, (arguments, result)
        assert result.stdout == "", arguments
        if arguments:
            assert result.stderr.startswith("dmremap: ") and result.stderr.count("\n") == 1, \
                (arguments, result.stderr)
    assert (rig.media("main").whole(), rig.media("spare").whole(), rig.status()) == before


def test_a_device_of_others(rig: Rig) -> None:
    rig.create("other", table=f"0 128 linear {rig.main.kernel_path} 0")
    assert dmremap("status", "other").returncode == REFUSED
    assert json.loads(output("status", "--json")) == {"devices": []}


def test_a_failing_message_says_what_the_kernel_said(rig: Rig) -> None:
    device = rig.create()
    device.pwrite(8, pattern(1, 8))
    output("remap", "r0", "8", "8")
    rig.main.bad(9, kind="both")
    result = dmremap("unremap", "r0", "8", "8")
    assert result.returncode == FAILED
    assert "sector 9 still fails" in result.stderr
    assert device.pread(8, 8) == pattern(1, 8)


def test_root_only(rig: Rig) -> None:
    rig.create()
    with tempfile.TemporaryDirectory() as directory:    # the tree may be root's alone
        os.chmod(directory, 0o755)
        program = shutil.copy(PROGRAM, directory)
        result = subprocess.run([program, "status"], capture_output=True, text=True, user=65534)
    assert result.returncode == REFUSED and "root" in result.stderr


def test_help_and_version() -> None:
    assert "unremap" in output("--help")
    assert output("--version").startswith("dmremap 1.")
    assert "--follow" in output("events", "--help")
    with open(os.devnull, "w") as null:
        assert subprocess.run([str(PROGRAM)], stdout=null, stderr=null).returncode == USAGE
