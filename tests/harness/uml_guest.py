# SPDX-License-Identifier: GPL-2.0-or-later
"""Process 1 of a User Mode Linux guest: mounts, module, one command, power off.

Started by uml.py as  uml_guest.py PROJECT RESULTS MODULE|- COMMAND...  in a kernel
whose root is the host's own file system, read-only. Everything written goes to tmpfs
or to RESULTS, a directory of the host. RESULTS/exit is written last, with the exit
code of the command, or with a sentence when something around it failed.
"""

import ctypes
import fcntl
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

MS_RDONLY = 1
RNDADDENTROPY = 0x40085203
POWER_OFF = 0x4321FEDC
LIBC = ctypes.CDLL(None, use_errno=True)


def mount(kind: str, target: str, data: str = "", flags: int = 0) -> None:
    # mount(2) itself: what mount(8) passes on to hostfs differs between its versions
    if LIBC.mount(b"none", target.encode(), kind.encode(), flags, data.encode()) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mounting {kind} on {target}: {os.strerror(error)}")


def make_room(project: str, results: str) -> None:
    mount("proc", "/proc")
    mount("sysfs", "/sys")
    mount("debugfs", "/sys/kernel/debug")
    mount("configfs", "/sys/kernel/config")
    for place in ("/dev/shm", "/dev/pts"):
        Path(place).mkdir(exist_ok=True)
    mount("devpts", "/dev/pts")
    # where the command keeps what must be durable, too: the guest's own, and writable
    for place in ("/dev/shm", "/run", "/var/tmp", "/tmp", "/var/lib", "/etc/udev/rules.d"):
        if Path(place).is_dir():
            mount("tmpfs", place)
    # these may lie below one of the places that were just covered
    for place, flags in ((project, MS_RDONLY), (results, 0)):
        os.makedirs(place, exist_ok=True)
        mount("hostfs", place, place, flags)
    os.makedirs("/run/lock", exist_ok=True)
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/tmp", LANG="C.UTF-8",
                      PYTHONDONTWRITEBYTECODE="1", DM_DISABLE_UDEV="1", DM_REMAP_GUEST="uml",
                      DM_REMAP_RESULTS=results)


def credit_entropy() -> None:
    """Without this getrandom(), which mkfs calls, waits for five seconds."""
    # read(2), which does not wait, unlike os.urandom(); good enough for the UUIDs of a test
    seed = Path("/dev/urandom").open("rb").read(64)
    with open("/dev/random", "wb") as random:
        fcntl.ioctl(random, RNDADDENTROPY, struct.pack("ii", 512, len(seed)) + seed)


KMEMLEAK = Path("/sys/kernel/debug/kmemleak")
# Not ours: what insmod(8) leaves is known to modules, into which it does not look; and the kernel
# loses the name of a cache of bios that it could not tell sysfs of.
OTHERS = re.compile(r'comm "insmod"|  bio-\d+\.')


def leaks() -> list[str]:
    """What kmemleak (in the debugging kernel) says was lost. It cannot tell whose it is: User Mode
    Linux gives it no backtraces."""
    if not KMEMLEAK.exists():
        return []
    # an object counts only when two scans did not find it, and it was five seconds old at the last
    KMEMLEAK.write_text("scan")
    time.sleep(5.5)
    KMEMLEAK.write_text("scan")
    return [report for report in KMEMLEAK.read_text().split("unreferenced object")[1:]
            if not OTHERS.search(report)]


def keep_counts(results: str) -> None:
    """What a module that counts its lines has counted (kernels.build_module())."""
    for file in Path("/sys/kernel/debug/gcov").rglob("kmod/**/*.gcda"):
        place = Path(results, "gcda", str(file).partition("/kmod/")[2])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())


def run(project: str, module: str, command: list[str]) -> str:
    if module != "-":
        subprocess.run(["insmod", module], check=True)
    code = subprocess.run(command, cwd=project, stdin=subprocess.DEVNULL).returncode
    if module != "-":
        result = subprocess.run(["rmmod", "dm_remap"], capture_output=True, text=True)
        if result.returncode and Path("/sys/module/dm_remap").exists():
            return f"the module cannot be unloaded: {result.stderr.strip()}"
        # not before: its own variables are not looked into
        if found := leaks():
            print("".join(found))
            return "kmemleak: memory was lost"
    return str(code)


def main(project: str, results: str, module: str, *command: str) -> None:
    try:
        make_room(project, results)
        credit_entropy()
        outcome = run(project, module, list(command))
    except Exception as error:    # whatever it is: process 1 must not die
        outcome = f"{type(error).__name__}: {error}"
    sys.stdout.flush()
    keep_counts(results)
    Path(results, "dmesg").write_bytes(
        subprocess.run(["dmesg"], capture_output=True, check=False).stdout)
    Path(results, "exit").write_text(outcome)
    os.sync()
    LIBC.reboot(POWER_OFF)


if __name__ == "__main__":
    main(*sys.argv[1:])
