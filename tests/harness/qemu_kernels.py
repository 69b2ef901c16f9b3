# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest with another kernel of Debian, on the same root image.

Owns that kernel, its initramfs and a disk with its modules, in the cache. Its packages are
unpacked, no script of theirs runs. qemu_snapshot.py copies the modules into the guest's root
before it takes the snapshot. Caller: tests/kernels.

    python3 -m tests.harness.qemu_kernels 6.12|newest [amd64|arm64]    make it, print its place
"""

import argparse
import shutil
import sys
from pathlib import Path

from tests.harness import apt, cache, debian_kernels, qemu_arm64, qemu_image
from tests.harness.qemu_image import Image, ImageError, run

# The root has no modules of this kernel when it first boots; these are needed to copy them.
INITRAMFS_MODULES = [*qemu_image.INITRAMFS_MODULES, "virtio_console", "virtio_scsi", "sd_mod"]
MODULES_SIZE = "512M"


def _kernel(unpacked: Path, release: str) -> Path:
    places = [f"boot/vmlinuz-{release}", f"usr/lib/modules/{release}/vmlinuz"]
    for place in places:
        if (unpacked / place).is_file():
            return unpacked / place
    raise ImageError(f"the packages of Linux {release} have no kernel: {' or '.join(places)}")


def add_kernel(kernel: debian_kernels.Kernel, base: Image, scratch: Path) -> None:
    """Fill SCRATCH with the kernel, its modules' disk and its initramfs for the root of BASE."""
    unpacked, root = scratch / "unpacked", scratch / "modules"
    unpacked.mkdir()
    (root / "usr/lib/modules").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    debian_kernels.unpack(kernel.image, unpacked, base.architecture)
    shutil.move(_kernel(unpacked, kernel.release), scratch / "vmlinuz")
    qemu_image.add_modules(unpacked, kernel.release, root)
    qemu_image.index_modules(kernel.release, root)
    qemu_image.make_initramfs(debian_kernels.debian(base.architecture), kernel.release, root,
                              scratch, INITRAMFS_MODULES)
    run("mke2fs", "-q", "-t", "ext4", "-d", root / "usr/lib/modules", scratch / "modules.img",
        MODULES_SIZE)
    shutil.rmtree(unpacked)
    shutil.rmtree(root)


def image(kernel: str, architecture: str = "amd64") -> Image:
    """The image with KERNEL of debian_kernels.KERNELS. For amd64 the root is that of this
    machine's distribution."""
    base = qemu_image.image() if architecture == "amd64" else qemu_arm64.base()
    found = debian_kernels.find(kernel, architecture)
    key = cache.key_of(Path(__file__), base.place.name, *found.words)

    def build(scratch: Path) -> None:
        print(f"fetching Linux {found.version} for the guest: under a minute, once",
              file=sys.stderr, flush=True)
        add_kernel(found, base, scratch)

    try:
        place = cache.entry("guest-kernel", key, build)
    except apt.AptError as error:
        raise debian_kernels.Unavailable(f"no image of Linux {kernel}: {error}") from error
    return Image(place, found.release, base.place, architecture)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.harness.qemu_kernels")
    parser.add_argument("kernel", choices=[*debian_kernels.KERNELS])
    parser.add_argument("architecture", nargs="?", default="amd64", choices=["amd64", "arm64"])
    options = parser.parse_args()
    try:
        print(image(options.kernel, options.architecture).place)
    except (debian_kernels.Unavailable, ImageError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
