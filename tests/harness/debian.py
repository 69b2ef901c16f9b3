# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian releases that the packages are for: this machine's and the other one.

Owns their names, how a system of one is unpacked into a directory, and how a script runs in it.
Callers: qemu_image.py, minimal.py, deb_chroot.py, tests.
"""

import functools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.harness import apt

NAMES = {"12": "bookworm", "13": "trixie"}
# Without them a system of the distribution is half as large.
UNREAD = [f"/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
# The mounts are in a namespace of their own and vanish with it. What a package would start is
# not started: no systemd runs in there.
IN_CHROOT = """set -e
root=$1
shift
for name in proc dev sys; do mount --bind "/$name" "$root/$name"; done
if [ -e /etc/resolv.conf ]; then
	touch "$root/etc/resolv.conf"
	mount --bind "$(realpath /etc/resolv.conf)" "$root/etc/resolv.conf"
fi
exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \\
	DEBIAN_FRONTEND=noninteractive sh -c "$@"
"""


class DebianError(Exception):
    """A release cannot be had, or a system of it not be made; the text says why."""


def of_machine() -> str:
    """The code name of the release that this machine runs."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    raise DebianError("/etc/os-release has no VERSION_CODENAME: this needs a released Debian")


def other() -> str:
    """The code name of the release that this machine does not run."""
    return next(name for name in reversed(NAMES.values()) if name != of_machine())


@functools.cache
def release(name: str) -> apt.Release:
    return apt.Release(name, ["security", "updates"])


def bootstrap(name: str, root: Path, packages: Sequence[str], variant: str = "apt",
              excluded: Sequence[str] = ()) -> None:
    """Unpack and configure a system of release NAME in ROOT; EXCLUDED are paths not unpacked."""
    sources = root.with_name("sources.list")
    sources.write_text("".join(release(name).sources.values()))
    command = ["mmdebstrap", f"--variant={variant}", "--mode=root", "--format=directory",
               *(f"--include={package}" for package in packages),
               '--aptopt=Apt::Install-Recommends "false"',
               *(f"--aptopt={line}" for line in apt.acquire_options()),
               "--dpkgopt=force-unsafe-io",
               *(f"--dpkgopt=path-exclude={path}" for path in [*UNREAD, *excluded]),
               name, str(root), str(sources)]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    sources.unlink()
    if result.returncode:
        tail = "\n".join(result.stderr.splitlines()[-20:])
        raise DebianError(f"mmdebstrap cannot make a system of Debian {name}:\n{tail}")


def chroot(root: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run SCRIPT in the system in ROOT, as root and with the network; its $0, $1… are WORDS."""
    return subprocess.run(["unshare", "--mount", "sh", "-c", IN_CHROOT, "sh", str(root), script,
                           *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL)


def in_chroot(root: Path, script: str, *words: str) -> str:
    """chroot() that must succeed; what was printed."""
    result = chroot(root, script, *words)
    if result.returncode:
        raise DebianError(f"exit code {result.returncode} in the chroot, from: {script}\n"
                          f"{result.stdout[-4000:]}")
    return result.stdout


def copy(root: Path, place: Path) -> Path:
    """A copy of a system, to be changed."""
    subprocess.run(["cp", "-a", "--reflink=auto", root, place], check=True)
    return place


def remove(root: Path) -> None:
    """Away with a system, and with nothing that is mounted in it."""
    subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)


def is_root() -> bool:
    return os.geteuid() == 0
