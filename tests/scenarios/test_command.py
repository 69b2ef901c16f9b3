# SPDX-License-Identifier: GPL-2.0-or-later
"""The command dmremap against the real module: true answers, and refusals that change nothing.

It is the program that `make userspace` has built; the guest sees the host's file system.
"""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.hardware import gone
from tests.scenarios.lib import Rig, pattern
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import refused

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
    assert json.loads(output("status", "--json")) == {"version": 1, "devices": []}
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
            assert shown[key] == {"none": None, "ok": True}.get(value, value), key
    assert shown["name"] == "r0" and shown["sectors"] == 2048
    assert shown["main"]["path"] == str(rig.main.kernel_path)
    assert shown["spare"]["path"] == str(rig.spare.kernel_path)
    assert (shown["spare"]["start"], shown["spare"]["sectors"]) == (0, 1280)
    assert shown["suspended"] is False and shown["open"] == 1
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
    shown = {line["slot"]: (line["sector"], tuple(line["redirected"]), tuple(line["lost"]))
             for line in lines}
    assert shown == {entry.slot: (entry.chunk * 8, entry.sectors(entry.redirected),
                                  entry.sectors(entry.lost))
                     for entry in Spare.of(rig).entries() if entry.state}
    assert {line["cause"] for line in lines} == {"probe", "write-error", "manual"}
    written = next(line for line in lines if line["cause"] == "write-error")
    assert written["error"] == "I/O error" and written["lost"] == []
    assert "write-error" in output("show", "r0")


def test_messages_reach_the_user(rig: Rig) -> None:
    rig.create()
    assert "committed=" in output("metadata-status", "r0")
    before = rig.status()["saves_ok"]
    output("save", "r0")
    assert rig.status()["saves_ok"] == before + 1
    for verb in ("sync", "restore", "clear"):
        output(verb, "r0")
    assert json.loads(output("verify", "r0", "12", "--json")) == {
        "version": 1, "name": "r0", "verb": "verify", "reply": "12 not remapped",
        "remapped": False, "lost": False, "values": {}}


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
    minor = os.minor(os.stat(rig.create().path).st_rdev)
    before = rig.media("main").whole(), rig.media("spare").whole(), rig.status()
    for code, arguments in (
            (USAGE, []), (USAGE, ["nonsense"]), (USAGE, ["status", "a", "b"]),
            (USAGE, ["status", "--colour"]), (USAGE, ["remap", "r0"]),
            (USAGE, ["remap", "r0", "x"]), (USAGE, ["remap", "r0", "-1"]),
            (USAGE, ["remap", "r0", "1x"]), (USAGE, ["remap", "r0", "2048"]),
            (USAGE, ["remap", "r0", "2047", "2"]), (USAGE, ["remap", "r0", "5", "0"]),
            (USAGE, ["unremap", "r0", "0", "99999999999999999999"]),
            (USAGE, ["list", "--names", "--json"]), (USAGE, ["files", "r0", "--disk"]),
            (USAGE, ["release", "r0", "--accept-loss"]), (USAGE, ["release", "r0", "--foreign"]),
            (USAGE, ["release", "--without-spare", "/dev/null", "--give-up", "8"]),
            (USAGE, ["release", "--without-main", "/dev/null", "--any-hardware"]),
            (USAGE, ["replace-main", "r0", "/dev/null", "--areas", "?"]), (USAGE, ["files", "r0", "--time", "0x"]),
            (USAGE, ["verify", "r0", "0", "1"]), (USAGE, ["save"]), (USAGE, ["save", "r0", "x"]),
            (NOT_FOUND, ["status", "r9"]), (NOT_FOUND, ["save", "r9"]),
            (NOT_FOUND, ["show", "/dev/mapper/r9"]), (NOT_FOUND, ["show", "/dev/dm-99"]),
            (NOT_FOUND, ["deactivate", f"/dev/dm-{(1 << 32) + minor}"]),
            (NOT_FOUND, ["deactivate", "/dev/mapper/r0/"]), (NOT_FOUND, ["save", "/dev/mapper/"]),
            (NOT_FOUND, ["status", "r" * 200]), (NOT_FOUND, ["status", ""]),
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
    assert json.loads(output("status", "--json")) == {"version": 1, "devices": []}


def test_a_failing_message_says_what_the_kernel_said(rig: Rig) -> None:
    device = rig.create()
    device.pwrite(8, pattern(1, 8))
    output("remap", "r0", "8", "8")
    rig.main.bad(9, kind="both")
    result = dmremap("unremap", "r0", "8", "8")
    assert result.returncode == FAILED
    assert "sector 8 still fails" in result.stderr
    assert device.pread(8, 8) == pattern(1, 8)


def test_a_number_of_the_kernel_is_no_reason(rig: Rig, tmp_path: Path) -> None:
    """Nor are codes of the manual those of the kernel's numbers."""
    rig.create()
    output("remap", "r0", "8", "8")
    rig.main.bad(800, kind="read")
    output("remap", "r0", "800", "8")
    told = refused(REFUSED, "unremap", "r0", "800", "8")
    assert "sector 800 is lost" in told and "-61" not in told
    (tmp_path / "list").write_text("2000\n")
    with gone(rig, "main"):
        for words in (["import", "r0", str(tmp_path / "list"), "--yes"], ["files", "r0", "8", "--disk"],
                      ["verify", "r0", "8", "--disk"], ["export", "r0", "--disk"]):
            assert "main device is gone" in refused(WAITING, *words), words
    rig.remove()
    rig.create(read_only=True)
    for verb in ("save", "remap r0 80", "unremap r0 8 8"):
        told = refused(FAILED, *(verb.split() if " " in verb else [verb, "r0"]))
        assert "Read-only file system; see dmremap status r0" in told and "failed: -" not in told


def test_what_is_wrong_with_an_option_is_named(rig: Rig) -> None:
    assert 'invalid option "-x"' in refused(USAGE, "list", "-yx")
    assert 'invalid option "-x"' in refused(USAGE, "list", "-xy")
    assert 'invalid option "--none"' in refused(USAGE, "list", "--none")
    assert 'invalid option "--yes=1"' in refused(USAGE, "list", "--yes=1")
    assert 'option "--svg" needs an argument' in refused(USAGE, "map", "r0", "--svg")
    assert output("list", "-V") == output("list", "--version") == output("-V")


def test_what_to_do_is_told(rig: Rig, tmp_path: Path) -> None:
    assert "dmremap list" in refused(NOT_FOUND, "status", "r0")
    # a question is not asked without what it is about
    rig.create()
    (tmp_path / "list").write_text("200\n")
    told = dmremap("import", "r0", str(tmp_path / "list"), "--json")
    assert told.returncode == REFUSED and told.stdout == ""
    assert "all of its first 1 place can be read" in told.stderr
    assert json.loads(output("import", "r0", str(tmp_path / "list"), "--json", "--yes"))


def test_a_name_that_a_terminal_would_act_upon(rig: Rig, tmp_path: Path) -> None:
    """device-mapper escapes some characters of a name; the library takes that back."""
    device = rig.create("a\\x1bb\\x0ac")
    name, shown = "a\x1bb\nc", "a\\x1bb\\x0ac"
    rig.main.bad(800, kind="write")
    device.pwrite(800, pattern(1))
    (tmp_path / "list").write_text("100\n")
    for verb in ("list", "list --names", "status", "status --check", "health", "health N",
                 "history N", "metrics", "show N", "map N", "export N", "files N 5", "scrub run N",
                 "scrub status N", "scrub stop N", "verify N 800", "metadata-status N", "doctor",
                 "backup N", "remap N 16", "freeze N", "thaw N", "write-cache N", "save N",
                 f"import N {tmp_path}/list --yes", "remap N 99999999", "activate", "adopt-host N",
                 "release N", "smart N", "deactivate N", "top --count 1 --interval 1"):
        told = dmremap(*(name if word == "N" else word for word in verb.split()))
        said = told.stdout + told.stderr
        assert "\x1b" not in said and "b\nc" not in said and "x5c" not in said, (verb, said)
    assert shown in output("list") and shown in output("status", name)


def test_a_uuid_that_is_none(rig: Rig, state_directory: Path) -> None:
    """Plain dmsetup takes any text: it is no set's, not shown, and no part of a path."""
    told = "REMAP-..\\x2felsewhere\\x1b"    # as device-mapper encodes it
    dm.create("plain", told)
    dm.load("plain", rig.table())
    dm.resume("plain")
    state_directory.mkdir()
    (state_directory.parent / "elsewhere\x1b.backup").write_text("none of ours\n")
    status = dmremap("status", "plain")
    assert status.returncode == OK and "\x1b" not in status.stdout and "backup" not in status.stdout
    shown, = json.loads(output("status", "--json"))["devices"]
    assert shown["uuid"] is None and shown["backup"] is None
    output("health", "--record", "plain")
    assert [path.name for path in state_directory.iterdir()] == ["name-plain.history"]
    output("deactivate", "plain")


def test_what_the_kernel_quotes_is_no_reason(rig: Rig) -> None:
    """What a USB device calls itself is in the log, too."""
    device = rig.create()
    rig.main.bad(96, kind="write")
    device.pwrite(96, pattern(1))
    number = os.stat(device.path).st_rdev
    line = (f"usb 1-1: Product: device-mapper: remap: "
            f"{os.major(number)}:{os.minor(number)}: type reboot")
    ended = threading.Event()

    def quote() -> None:
        while not ended.is_set():
            Path("/dev/kmsg").write_text(line)    # the kernel limits what one who opened it writes

    thread = threading.Thread(target=quote)
    thread.start()
    result = dmremap("unremap", "r0", "96")
    ended.set()
    thread.join()
    assert result.returncode == FAILED, result
    assert "it stays remapped" in result.stderr and "reboot" not in result.stderr, result


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
    assert output("--version") == output("-V")
    assert "--follow" in output("events", "--help")
    assert output("help", "events") == output("events", "--help")
    assert output("help") == output("--help") == output("-h")
    assert dmremap("help", "nonsense").returncode == USAGE
    with open(os.devnull, "w") as null:
        assert subprocess.run([str(PROGRAM)], stdout=null, stderr=null).returncode == USAGE


def test_options_before_the_verb(rig: Rig) -> None:
    """As people type it."""
    rig.create()
    for arguments in (("--json", "status"), ("status", "--json")):
        assert json.loads(output(*arguments))["devices"][0]["name"] == "r0"
    assert output("-q", "freeze", "r0") == output("--quiet", "-y", "thaw", "r0") == ""
    result = dmremap("--colour", "status")
    assert result.returncode == USAGE and "--help" in result.stderr


def test_empty_results_say_so(rig: Rig) -> None:
    assert output("list") == "No sets found.\n" and output("list", "--quiet") == ""
    assert output("status") == "No set is active.\n"
    assert output("activate") == "No sets found.\n"
    assert output("smart") == "No set is active.\n"


def test_list_shows_what_one_looks_for(rig: Rig) -> None:
    device = rig.create()
    rig.main.bad(80, 2, kind="read")
    output("remap", "r0", "80", "8")
    heading, line = output("list").splitlines()
    assert heading.split() == ["NAME", "STATE", "HEALTH", "SIZE", "USED", "LOST", "MAIN", "SPARE",
                               "UUID", "REASON"]
    assert line.split()[:9] == ["r0", "active", "watch", "1", "MiB", "2.1%", "2",
                                str(rig.main.kernel_path), str(rig.spare.kernel_path)]
    assert "2 sectors are lost" in line
    text = output("status", "r0")
    assert "health     watch: 2 sectors are lost" in text
    with pytest.raises(OSError):
        device.pread(80)
    assert "counted    reads of lost sectors that were refused: 1" in output("status", "r0")
    device.pwrite(80, pattern(1))
    assert "1 sector is lost" in output("list")


def test_a_check_for_monitors(rig: Rig) -> None:
    """status --check: one line, and an exit code that Nagios and cron know."""
    def check(*arguments: str) -> tuple[int, str]:
        result = dmremap("status", "--check", *arguments)
        assert result.stderr == "" and result.stdout.count("\n") == 1, result
        return result.returncode, result.stdout

    assert check() == (3, "UNKNOWN: no set is active\n")
    device = rig.create()
    assert check() == check("r0") == (0, "OK: 1 set is active and well\n")
    assert check("r9")[0] == 2
    rig.main.bad(80, kind="read")
    output("remap", "r0", "80", "8")
    assert check() == (1, "WARNING: r0: 1 sector is lost.\n")
    rig.message("r0", "freeze")
    assert check()[0] == 1 and "mode frozen" in check()[1]
    rig.message("r0", "thaw")
    rig.main.bad(400, 1000, kind="write")
    with pytest.raises(OSError):
        for chunk in range(120):
            device.pwrite(400 + 8 * chunk, pattern(1, 8))
    assert rig.status()["mode"] == "full"
    assert check()[0] == 2 and check()[1].startswith("CRITICAL: r0: mode full")


def test_images_of_ones_own_without_root(rig: Rig, tmp_path: Path) -> None:
    """Row 25."""
    rig.create()
    rig.remove()
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        image = Path(directory) / "spare"
        image.write_bytes(rig.media("spare").whole())
        image.chmod(0o644)
        program = shutil.copy(PROGRAM, directory)
        for arguments in (["check", str(image)], ["dump", str(image)],
                          ["dump", "--json", str(image)], ["check", "spare"], ["dump", "spare"]):
            result = subprocess.run([program, *arguments], capture_output=True, text=True,
                                    user=65534, cwd=directory)
            assert result.returncode == OK, result
        result = subprocess.run([program, "check", str(rig.spare.kernel_path)],
                                capture_output=True, text=True, user=65534)
        assert result.returncode == REFUSED and "root" in result.stderr


def test_the_plan_comes_before_the_error(rig: Rig) -> None:
    """Row 19: in a pipe, too."""
    image = rig.media("main").whole()
    result = subprocess.run([str(PROGRAM), "create", "data", str(rig.main.kernel_path),
                             str(rig.spare.kernel_path)], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    assert result.returncode == REFUSED
    assert result.stdout.index("undo") < result.stdout.index("dmremap: not done"), result.stdout
    assert rig.media("main").whole() == image


def test_exit_codes_are_those_of_the_manual(rig: Rig) -> None:
    """Row 16."""
    rig.create()
    assert "nothing to accept" in output("accept-loss", "r0", "--yes")


BAR = r"\[#* *\] +\d+ %, \d+ s left"


def on_terminal(*arguments: str) -> str:
    """What dmremap says of its progress to a terminal."""
    terminal, inside = pty.openpty()
    result = subprocess.run([str(PROGRAM), *arguments], stderr=inside, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL)
    os.close(inside)
    text = b""
    while select.select([terminal], [], [], 0.1)[0]:
        try:
            text += os.read(terminal, 4096)
        except OSError:    # the other end is closed
            break
    os.close(terminal)
    assert result.returncode == OK, text
    return text.decode()


def test_long_verbs_show_how_far_they_are(rig: Rig) -> None:
    """On a terminal a bar with the time left, after two seconds."""
    rig.create()
    output("remap", "r0", "0", "480")
    rig.remove()
    rig.spare.delay("read", 40)

    assert re.search(r"copying back " + BAR, on_terminal("release", str(rig.main.kernel_path),
                                                         str(rig.spare.kernel_path), "--yes"))


@pytest.mark.long
def test_reading_a_large_table_shows_how_far_it_is(rig: Rig, tmp_path: Path) -> None:
    rig.create()
    rig.spare.delay("read", 700)    # the whole table is a few commands
    assert re.search(r"reading the table " + BAR, on_terminal("check", str(rig.spare.kernel_path)))
    assert re.search(r"reading the table " + BAR,
                     on_terminal("backup", str(rig.spare.kernel_path), str(tmp_path / "backup")))
    # what a program reads has none
    assert on_terminal("check", str(rig.spare.kernel_path), "--quiet") == ""


@pytest.mark.disks(main="4M", spare="4M")
def test_sectors_that_move_show_how_far_they_are(rig: Rig) -> None:
    """The kernel answers in the end only; how far it is, it counts."""
    rig.create()
    output("remap", "r0", "0", "5120")
    rig.main.delay("write", 500)
    assert re.search(r"moving chunks " + BAR, on_terminal("clear", "r0"))
    assert rig.status()["used"] == 1


def test_create_shows_how_far_it_is(rig: Rig) -> None:
    rig.spare.delay("write", 300)
    assert re.search(r"writing to the spare " + BAR,
                     on_terminal("create", "data", str(rig.main.kernel_path),
                                 str(rig.spare.kernel_path), "--yes"))


def test_the_manual_has_every_verb_and_option() -> None:
    """dmremap(8) is compared with what the command takes, both ways."""
    manual = (PROGRAM.parents[1] / "packaging" / "man" / "dmremap.8").read_text()
    items = dict.fromkeys(re.findall(r"Fl\s+-([a-z][a-z-]+)", manual))
    taken = {"json", "yes", "quiet", "help", "version"}
    for verb in re.findall(r"^  ([a-z][a-z-]*) ", output("--help"), re.MULTILINE):
        assert re.search(rf"^\.It Cm {verb}\b|, Cm {verb}\b", manual, re.MULTILINE), verb
        options = set(re.findall(r"^  --([a-z-]+)", output("help", verb), re.MULTILINE))
        assert options <= set(items), (verb, options - set(items))
        taken |= options
    # of other programs
    assert set(items) - taken <= {"import", "examine-badblocks"}, set(items) - taken
