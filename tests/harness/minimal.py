# SPDX-License-Identifier: GPL-2.0-or-later
"""A minimal Debian: what is essential or required, a kernel, systemd, and the test bed's agent.

What else the packages need is for apt to find out, in a chroot of a copy. Both releases.
Owns the recipe; callers: tests/vm.

    python3 -m tests.harness.minimal [RELEASE]     make it, print its directory
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness import apt, cache, debian, qemu_image

# Python is for the agent alone. Packages of the kernel want initramfs-tools, which wants udev.
PACKAGES = ["linux-image-amd64", "systemd-sysv", "e2fsprogs", "python3-minimal",
            "libpython3-stdlib"]
# Of the drivers of networks all but virtio_net and what it needs, and what begins like them.
NET, NETWORK = "kernel/drivers/net", "[!nv]*"


@dataclass(frozen=True)
class System:
    """A minimal system as a directory, to be copied, and how a virtual machine boots it."""

    place: Path
    debian: str
    kernel_release: str

    @property
    def tree(self) -> Path:
        return self.place / "root"

    def image(self, place: Path) -> qemu_image.Image:
        """What boots a disk of this system, as PLACE/root.img will be one."""
        for name in ("vmlinuz", "initramfs"):
            (place / name).symlink_to(self.place / name)
        return qemu_image.Image(place, self.kernel_release)


def _make(name: str, release: str, scratch: Path) -> None:
    print(f"making a minimal system of Debian {name}: two minutes, once", file=sys.stderr,
          flush=True)
    root = scratch / "root"
    drivers = [f"{prefix}/lib/modules/*/{driver}/{NETWORK if driver == NET else '*'}"
               for driver in qemu_image.UNUSED_DRIVERS for prefix in ("", "/usr")]
    debian.bootstrap(name, root, PACKAGES, "minbase", drivers)
    qemu_image.add_own_files(root)
    qemu_image.make_initramfs(debian.release(name), release, root, scratch)
    shutil.copy(root / "boot" / f"vmlinuz-{release}", scratch / "vmlinuz")


def system() -> System:
    """A minimal system of the release in use. It is the cache's: copy it to change it."""
    qemu_image.check_tools()
    try:
        name = qemu_image.distribution()
        release, version = qemu_image.newest_kernel(name)
        key = cache.key_of(Path(__file__), Path(qemu_image.__file__), Path(debian.__file__),
                           name, version, *debian.release(name).versions("systemd"),
                           *sorted(path for path in qemu_image.GUEST.iterdir() if path.is_file()))
        place = cache.entry("minimal", key, lambda scratch: _make(name, release, scratch))
    except (apt.AptError, debian.DebianError) as error:
        raise qemu_image.ImageError(str(error)) from error
    return System(place, name, release)


def main() -> int:
    try:
        for name in sys.argv[1:2]:
            qemu_image.use(name)
        print(system().place)
    except qemu_image.ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
