# SPDX-License-Identifier: GPL-2.0-or-later
"""The package dm-remap-dkms, installed in the guest's root without booting it.

DKMS takes minutes in an emulated guest and seconds in a chroot. So the package is installed
by dpkg in a chroot with the content of the guest's image, where DKMS builds and installs the
module for the guest's kernel; what that has changed is kept as an archive, which makes any
guest of this image one that has the package installed: dpkg, DKMS and depmod agree.

    python3 -m tests.harness.qemu_dkms             make it, print its place
"""

import subprocess
import sys
from pathlib import Path

from tests.harness import cache, debian, kernels, qemu_image

PROJECT = kernels.PROJECT
# What the package is made of, beside its version.
PARTS = ("kmod", "common", "packaging/debian", "dkms.conf", "packaging/install.mk",
         "packaging/deb.mk", "packaging/installer", "packaging/tarball", "packaging/version")
# dpkg, DKMS and depmod write nothing else that a guest needs.
CHANGED = ("usr/src/dm-remap-*", "var/lib/dkms", "var/lib/dpkg/status",
           "var/lib/dpkg/info/dm-remap-dkms.*", "usr/lib/modules/*/updates",
           "usr/lib/modules/*/modules.*")


def _key(image: qemu_image.Image) -> str:
    files = sorted(path for part in PARTS
                   for path in ([PROJECT / part] if (PROJECT / part).is_file()
                                else (PROJECT / part).rglob("*"))
                   if path.is_file() and path.suffix not in (".o", ".ko", ".cmd", ".mod"))
    return cache.key_of(Path(__file__), image.place.name,
                        *(item for path in files for item in (path.name, path)))


def _install(image: qemu_image.Image, package: Path, scratch: Path) -> None:
    root = scratch / "root"
    root.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {root}", image.root], check=True,
                   capture_output=True, stdin=subprocess.DEVNULL)
    (root / "dkms.deb").write_bytes(package.read_bytes())
    result = debian.chroot(root, "dpkg -i /dkms.deb")
    built = [*root.glob(f"usr/lib/modules/{image.kernel_release}/updates/dkms/dm-remap.ko*")]
    if result.returncode or len(built) != 1:
        logs = "".join(log.read_text(errors="replace")[-3000:]
                       for log in root.glob("var/lib/dkms/dm-remap/*/build/make.log"))
        raise kernels.BuildError("dm-remap-dkms does not install for "
                                 f"{image.kernel_release}:\n{result.stdout[-3000:]}{logs}")
    changed = [str(path.relative_to(root)) for pattern in CHANGED for path in root.glob(pattern)]
    subprocess.run(["tar", "-C", root, "-czf", scratch / "installed.tar.gz", "--", *changed],
                   check=True)
    debian.remove(root)


def installed(package: Path) -> Path:
    """An archive for the guest's root that makes PACKAGE, built from this tree, installed."""
    image = qemu_image.image()
    place = cache.entry("dkms", _key(image), lambda scratch: _install(image, package, scratch))
    return place / "installed.tar.gz"


def main() -> int:
    from tests.vm import packages
    try:
        print(installed(packages.built()["dm-remap-dkms"]))
    except (qemu_image.ImageError, kernels.BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
