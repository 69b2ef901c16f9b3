# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may read and change what: the table in dm-remap(7), by a user without privileges.

harness/test_who_may.py has the test of each row. Hooks: packages/test_hooks.py.
"""

import contextlib
import fcntl
import os
import re
import signal
import socket
import stat
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm, inprocess
from tests.scenarios.genl import COMMANDS, Genl
from tests.scenarios.lib import Rig, pattern
from tests.scenarios.remapd import running
from tests.scenarios.sets import OK, PROGRAM, create, ext4_on_main, output, paths, refused, settle
from tests.scenarios.unprivileged import USER, as_other, error_of, lock, open_for

pytestmark = [pytest.mark.disks(main="4M", spare="2M", other="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", other="SPARE-0003")]
RUN, STATE = Path("/run/dm-remap"), Path(os.environ["STATE_DIRECTORY"])
RULES = Path("/etc/udev/rules.d")
R, W = os.O_RDONLY, os.O_WRONLY


@pytest.fixture(autouse=True)
def no_help() -> Iterator[None]:
    """Modes are ours, not those that the caller's umask leaves; and the kernel guards no link."""
    before = os.umask(0)
    for file in STATE.glob("*"):
        file.unlink()
    switches = [Path("/proc/sys/fs", f"protected_{kind}") for kind in
                ("symlinks", "hardlinks", "fifos", "regular")]
    were = [switch.read_text() for switch in switches]
    for switch in switches:
        switch.write_text("0")
    yield
    for switch, value in zip(switches, were):
        switch.write_text(value)
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(place: Path) -> dict[str, str]:
    """All below PLACE, and itself, that is not root's alone."""
    found = [place, *place.rglob("*")]
    assert len(found) > 1, place
    return {str(path): oct(mode_of(path)) for path in found
            if mode_of(path) & 0o077 or path.lstat().st_uid}


def directory(path: str) -> Path:
    number = os.stat(path).st_rdev
    return Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/remap")


# the kernel

def try_netlink() -> list[str]:
    """What is allowed: to join, to dump, to say any number; as a request and as a dump."""
    genl, allowed = Genl(), []

    def attempt(name: str, *arguments: object) -> None:
        try:
            getattr(genl, name)(*arguments)
            allowed.append(f"{name} {arguments}")
        except OSError:
            pass

    attempt("join")
    for command in COMMANDS:
        attempt("dump", command)
    for number in range(max(COMMANDS.values()) + 4):
        for flags in (0, 0x300):
            try:
                for data in genl._request(genl.family, number, flags=flags):
                    allowed.append(f"command {number}, flags {flags:#x}: {data!r}")
            except OSError:
                pass
    return allowed


def test_netlink(rig: Rig) -> None:
    rig.create()
    assert [line["name"] for line in Genl().dump("get_devices")] == ["r0"]
    before = rig.status()
    assert as_other(try_netlink) == []
    assert rig.status() == before


def test_an_event_that_another_user_makes_up(rig: Rig, tmp_path: Path) -> None:
    """Neither to the group, nor to the daemon's socket."""
    rig.create()
    genl = Genl()
    event = struct.pack("<IHHIIBBH", 20, genl.family, 0, 0, 0, COMMANDS["event"], 1, 0)
    genl.close()

    def send(port: int, groups: int) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as netlink:
            netlink.bind((0, 0))
            netlink.sendto(event, (port, groups))

    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        table = [line.split() for line in Path("/proc/net/netlink").read_text().splitlines()[1:]]
        ports = {int(line[2]) for line in table if line[1] == "16" and line[2] != "0"}
        assert ports
        number = len(daemon.hear().entries)
        for port in ports:
            assert error_of(send, port, 0) == "EPERM"
        assert error_of(send, 0, 1 << (genl.groups["events"] - 1)) == "EPERM"
        assert len(daemon.hear().entries) == number


def test_sysfs(rig: Rig) -> None:
    place, parameters = directory(rig.create().path), Path("/sys/module/dm_remap/parameters")
    files = [path for path in (*place.rglob("*"), *parameters.iterdir()) if path.is_file()]
    before = {path: path.read_text() for path in files}
    assert len(files) > 20
    for path in files:
        assert as_other(path.read_text) == before[path] or path.parent.name == "stats", path
        assert error_of(open_for, path, W) == "EACCES", path
        assert error_of(path.chmod, 0o666) == "EPERM", path


def test_devices(rig: Rig) -> None:
    """udev gives them to the group "disk", like any disk; here is no udev."""
    create_named(rig)
    for path in ("/dev/mapper/data", *paths(rig, "main", "spare")):
        for flags in (R, W):
            assert error_of(open_for, path, flags) == "EACCES", path


def create_named(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)


def test_messages_and_tables(rig: Rig) -> None:
    """Even one who was given the file: device-mapper asks for a capability."""
    rig.create()
    assert error_of(open_for, "/dev/mapper/control", R) == "EACCES"
    control = Path("/dev/mapper/control")
    mode = mode_of(control)
    control.chmod(0o666)
    try:
        for attempt in (lambda: dm.message("r0", "freeze"), lambda: dm.suspend("r0"),
                        lambda: dm.remove("r0"), lambda: dm.status("r0")):
            assert error_of(attempt) in ("EACCES", "EPERM")
    finally:
        control.chmod(mode)
    assert rig.status()["mode"] == "rw"


# the command

# Each verb but doctor, which looks at the system and at no set.
CALLS = """
list; status; status data; health; health --record data; history data; smart data; metrics
show data; map data; export data; top data; files data 80; scrub start data; scrub run data
scrub status data; scrub stop data; events; verify data 80; metadata-status data; demo
create new {main} {other} --yes; activate data; deactivate data; release data --yes
release --without-spare {main} --yes; adopt-host data; backup data; import data {list}
remap data 96 8; unremap data 80 8; clear data; freeze data; thaw data; write-cache data keep
replace-main data {other} --yes; replace-spare data {other} --yes; resize data {other} --yes
restore-backup {backup} {other} --yes; restore data; sync data; accept-loss data; save data
stats-clear data; check {spare}; dump {spare}
"""


def test_the_command(rig: Rig, tmp_path: Path) -> None:
    create_named(rig)
    output("remap", "data", "80", "8")
    (tmp_path / "list").write_text("12\n")
    backup, = STATE.glob("*.backup")
    names = dict(zip(("main", "spare", "other"), paths(rig, "main", "spare", "other")),
                 list=tmp_path / "list", backup=backup)
    lines = re.split(r"[;\n]\s*", CALLS.strip().format(**names))
    verbs = re.findall(r"^  ([a-z][\w-]*) .* {2,}\S", output("--help"), re.MULTILINE)
    assert {line.split()[0] for line in lines} | {"doctor"} == set(verbs) and len(verbs) > 30
    settle(rig)

    def state() -> list[object]:
        return [rig.status("data"), *(rig.media(name).whole() for name in ("main", "spare", "other"))]

    before = state()
    for line in lines:
        result = as_other(inprocess.call, *line.split())
        assert result.returncode not in (OK, 2), result    # 2: nothing was tried
        assert result.stderr.startswith("dmremap: ") and result.stderr.count("\n") == 1, result
    settle(rig)
    assert state() == before
    for words in (["--version"], ["--help"]):
        assert as_other(inprocess.call, *words).returncode == OK
    assert "error" not in as_other(inprocess.call, "doctor").stderr


# files

def work(rig: Rig, tmp_path: Path) -> None:
    """All that makes files: a set with errors, its daemon, a scrub, a note that it was let go."""
    create_named(rig)
    rig.main.bad(800, 8, kind="read")
    output("remap", "data", "80", "8")
    output("backup", "data")
    inprocess.call("scrub", "run", "data")
    output("health", "--record", "data")
    inprocess.call("smart", "data")
    with running(tmp_path, "[save]\ninterval = 1\n") as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        daemon.reload()
        assert daemon.stop() == 0
    output("deactivate", "data")


def test_state_and_locks(rig: Rig, tmp_path: Path) -> None:
    """Nobody else can look into them, so nobody can hold a lock there."""
    work(rig, tmp_path)
    names = {path.name for path in RUN.iterdir()} | {path.suffix for path in STATE.iterdir()}
    assert {"lock", "let-go", ".backup", ".history"} <= names
    assert open_to_others(RUN) == {} and open_to_others(STATE) == {}
    assert [path for path in (tmp_path / "run").iterdir() if mode_of(path) & 0o077] == []
    for place in (RUN, STATE):
        assert error_of(os.listdir, place) == error_of(lock, place) == "EACCES"
        for file in place.rglob("*"):
            assert error_of(open_for, file, R) == error_of(lock, file) == "EACCES"
            assert error_of(os.rename, file, tmp_path / "x") == "EACCES"
        assert error_of(os.symlink, "/etc/passwd", place / "lock2") == "EACCES"
        assert error_of(os.link, "/etc/passwd", place / "lock2") == "EACCES"


@contextlib.contextmanager
def other_holds(*what: Path) -> Iterator[None]:
    """The other user has locked each of them, and keeps it."""
    read, write = os.pipe()
    holder = os.fork()
    if not holder:
        try:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            for path in what:
                lock(path)
            os.write(write, b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.close(write)
    try:
        assert os.read(read, 1) == b"x"
        yield
    finally:
        os.close(read)
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)


def test_locks_where_others_can_look(rig: Rig, tmp_path: Path) -> None:
    """An administrator made both directories readable: no command waits for ever for what others
    can hold then."""
    work(rig, tmp_path)
    history, = STATE.glob("*.history")
    history.unlink()    # so that a new point is due
    for place in (RUN, STATE):
        place.chmod(0o755)
    try:
        for file in (path for place in (RUN, STATE) for path in place.rglob("*")):
            assert error_of(lock, file) == "EACCES", file
        with other_holds(RUN, STATE):
            for line in ("activate data", "backup data", "health --record data", "freeze data",
                         "deactivate data"):
                result = subprocess.run([str(PROGRAM), *line.split()], capture_output=True,
                                        text=True, stdin=subprocess.DEVNULL, timeout=120)
                assert result.returncode == OK, result
        assert len(history.read_text().splitlines()) == 1
    finally:
        for place in (RUN, STATE):
            place.chmod(0o700)


def test_rule_that_hides_main(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig, "--no-guard")
    rule, = RULES.iterdir()
    assert mode_of(rule) == 0o644 and rule.lstat().st_uid == 0
    assert "DM_REMAP_MASKED" in as_other(rule.read_text)
    assert error_of(open_for, rule, W) == "EACCES"
    output("release", "data", "--yes")


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A directory of the other user's, as the collector of the node exporter has one."""
    for above in (tmp_path, *tmp_path.parents):
        if above.lstat().st_uid == 0 and above.is_relative_to("/tmp") and above != Path("/tmp"):
            above.chmod(0o755)
    place = tmp_path / "users"
    place.mkdir()
    os.chown(place, USER, USER)
    return place


def test_files_that_are_named(rig: Rig, users: Path) -> None:
    """Metrics and pictures are for all to read; a backup has content of the disks."""
    create_named(rig)
    for name, call, mode in (("m", "metrics --write {}", 0o644), ("s", "map data --svg {}", 0o644),
                             ("b", "backup data {}", 0o600)):
        for _ in range(2):    # a new file, and one that is there
            output(*call.format(users / name).split())
            assert (mode_of(users / name), (users / name).lstat().st_uid) == (mode, 0)
        assert error_of(open_for, users / name, W) == "EACCES"
        assert error_of(open_for, users / name, R) == ("" if mode == 0o644 else "EACCES")


@pytest.mark.parametrize("call", ["metrics --write {}", "map data --svg {}", "backup data {}"])
@pytest.mark.parametrize("trick", ["symlink", "hard link", "fifo", "temporary", "held"])
def test_tricks_in_a_directory_of_another_user(rig: Rig, users: Path, tmp_path: Path, trick: str,
                                               call: str) -> None:
    """What root has elsewhere stays as it is, nothing waits, and what is written is whole."""
    create_named(rig)
    victim = tmp_path / "victim"
    victim.write_text("root's\n")
    victim.chmod(0o644)
    file, temporary = users / "file", users / "file.dmremap-new"
    words = call.format(file).split()
    if trick == "symlink":
        as_other(os.symlink, victim, file)
    elif trick == "hard link":
        as_other(os.link, victim, file)
    elif trick == "fifo":
        as_other(os.mkfifo, file)
    else:
        output(*words)    # one that is replaced has a temporary name
        if trick == "temporary":
            as_other(os.symlink, victim, temporary)
        else:
            as_other(temporary.write_text, "his")
    with other_holds(*([temporary] if trick == "held" else [])):
        if trick in ("symlink", "fifo") or (trick == "hard link" and call.startswith("backup")):
            assert str(file) in refused(inprocess.call(*words).returncode or 1, *words)
        else:
            output(*words)
            assert stat.S_ISREG(file.lstat().st_mode) and file.lstat().st_uid == 0
            assert file.read_bytes() and not os.path.samefile(file, victim)
    assert victim.read_text() == "root's\n" and mode_of(victim) == 0o644


# the daemon

def test_the_daemon_has_no_socket_to_write_to(rig: Rig, tmp_path: Path) -> None:
    """It listens to the kernel and to udev alone, has no name in any file system, and no port."""
    rig.create()
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        pid = daemon.process.pid
        inodes = set()
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):    # closed a moment ago
                if match := re.match(r"socket:\[(\d+)\]", os.readlink(fd)):
                    inodes.add(match[1])
        kinds = {line.split()[-1] for line in
                 Path("/proc/net/netlink").read_text().splitlines()[1:]}
        assert inodes & kinds
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
            _, _, _, flags, _, _, inode, *path = line.split()
            assert inode not in inodes or (flags == "00000000" and not path), line
        for kind in ("tcp", "udp", "raw", "packet"):
            table = Path("/proc/net", kind)
            if table.exists():
                assert not inodes & {word for line in table.read_text().splitlines()[1:]
                                     for word in line.split()}, kind
        assert error_of(os.kill, pid, 1) == "EPERM"
        assert daemon.stop() == 0


def test_commands_to_the_disk_below(rig: Rig) -> None:
    """A user who may write the device sends no command to the disk below it."""
    device = rig.create()
    device.pwrite(80, pattern(1))
    node = Path(os.path.realpath(device.path))
    mode = mode_of(node)
    node.chmod(0o666)
    scsi_ioctl_get_idlun = 0x5382

    def ask() -> None:
        with open(node, "rb", buffering=0) as file:
            fcntl.ioctl(file, scsi_ioctl_get_idlun, bytes(8))

    try:
        assert error_of(ask) in ("EPERM", "ENOTTY", "ENOIOCTLCMD")
    finally:
        node.chmod(mode)
