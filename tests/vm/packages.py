# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest as a user has it: the Debian packages installed, the daemon enabled.

DKMS has built the module in a chroot of the guest's image (tests/harness/qemu_dkms.py), for
in an emulated guest it takes minutes. Used by the tests here and by the demo.
"""

import json
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.harness import cache as cached
from tests.harness import deb_chroot, debian, qemu_dkms, qemu_image
from tests.harness.kernels import PROJECT
from tests.harness.qemu import Machine

PLACE = PROJECT / "build" / "deb"
WAIT = ("for i in $(seq 200); do {condition} && exit 0; sleep 0.2; done; "
        "echo 'waited 40 s in vain: {words}' >&2; dmremap list >&2; "
        "journalctl -q -b -n 30 >&2; exit 1")


def built() -> dict[str, Path]:
    """The packages by name, built from this tree on the release that guests are of."""
    if qemu_image.distribution() != debian.of_machine():
        return by_name(deb_chroot.built(qemu_image.distribution()))
    return built_here()


def by_name(place: Path) -> dict[str, Path]:
    return {path.name.split("_")[0]: path for path in place.glob("*.deb")}


def _sources() -> str:
    """What the packages are made of, as one word."""
    with tempfile.TemporaryDirectory(prefix="dm-remap-") as scratch:
        subprocess.run([PROJECT / "packaging" / "tarball", scratch], check=True,
                       stdout=subprocess.DEVNULL)
        tarball, = Path(scratch).iterdir()
        return cached.key_of(tarball)


@cache
def built_here() -> dict[str, Path]:
    """The packages as this machine builds them. Suites that run side by side use one build: each
    would begin with removing that of the others."""
    with cached.locked(PROJECT / "build" / ".packages.lock"):
        stamp, sources = PLACE / "made-of", _sources()
        if not stamp.is_file() or stamp.read_text() != sources:
            _build()
            stamp.write_text(sources)
    return by_name(PLACE)


def _build() -> None:
    result = subprocess.run(["make", "-s", "-C", str(PROJECT), "deb"], text=True,
                            capture_output=True, stdin=subprocess.DEVNULL,
                            env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck"})
    if result.returncode:
        raise OSError(f"make deb failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


def install(vm: Machine) -> None:
    """Install both packages, which enable and start dm-remapd."""
    vm.put(qemu_dkms.installed(built()["dm-remap-dkms"]), "/run/dkms.tar.gz")
    vm.put(built()["dm-remap"], "/run/dm-remap.deb")
    vm.run("tar -C / -xzf /run/dkms.tar.gz && dpkg -i /run/dm-remap.deb && "
           "rm /run/dkms.tar.gz /run/dm-remap.deb && "
           "systemctl -q is-enabled dm-remapd && systemctl -q is-active dm-remapd")


def mask_daemon(vm: Machine) -> None:
    """Nothing may need it: udev, the command and the kernel do what has to be done (O13)."""
    vm.run("systemctl -q disable --now dm-remapd && systemctl -q mask dm-remapd")


def wait(vm: Machine, condition: str, words: str = "") -> None:
    """Until a shell command succeeds; else what is known of the sets and the journal."""
    vm.run(WAIT.format(condition=condition, words=(words or condition).replace("'", "")))


def sets(vm: Machine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(vm.text("dmremap list --json"))["sets"]
    return found


def journal(vm: Machine, **fields: str) -> list[dict[str, Any]]:
    """Entries of the daemon with these fields."""
    match = " ".join(f"{name}='{value}'" for name, value in fields.items())
    found = vm.text(f"journalctl -q --sync; journalctl -q -u dm-remapd -o json {match}")
    return [json.loads(line) for line in found.splitlines()]


def wait_for_entry(vm: Machine, **fields: str) -> dict[str, Any]:
    match = " ".join(f"{name}={value}" for name, value in fields.items())
    wait(vm, f"journalctl -q -u dm-remapd {match} | grep -q .", f"an entry with {match}")
    return journal(vm, **fields)[0]
