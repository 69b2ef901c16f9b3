# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's root image: a Debian release, its kernel, an initramfs.

Owns the recipe of the image and the choice of the guest's kernel. The release is
this machine's own, and the kernel the one that the installed linux-headers package
is for; or, after use(), the other release with its newest kernel. Callers: qemu.py,
minimal.py, and tests that want a module for the guest.

    python3 -m tests.harness.qemu_image [RELEASE]  make it, print its directory
"""

import functools
import hashlib
import lzma
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness import apt, cache, debian

PROJECT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).with_name("guest")
SIZE = "3G"

PACKAGES = [
    "systemd", "systemd-sysv", "udev", "dmsetup", "e2fsprogs", "xfsprogs", "kmod", "util-linux",
    "util-linux-extra", "procps", "fdisk", "python3-minimal", "libpython3-stdlib",
    # what dmremap and dm-remapd are linked to, beyond what is there already
    "libnl-3-200", "libnl-genl-3-200",
    # what is stacked on a remap device, and what it is stacked on
    "mdadm", "lvm2", "cryptsetup-bin",
    # what would overwrite a member, or show it to a user
    "btrfs-progs", "dosfstools", "udisks2",
    # what dm-remap-dkms needs; beside it the kernel's headers
    "dkms",
]
TREE = ["usr/lib/python3", "usr/lib/python3.*", "usr/lib/systemd", "etc"]
INITRAMFS_MODULES = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"]
# Hardware that the guest will never have: half of the modules' size.
UNUSED_DRIVERS = [
    "kernel/sound", "kernel/net/bluetooth", "kernel/net/mac80211", "kernel/net/wireless",
    *("kernel/drivers/" + name for name in (
        "gpu", "media", "net", "staging", "iio", "infiniband", "usb", "hid", "input", "hwmon",
        "comedi", "bluetooth", "isdn", "mtd", "video", "edac", "mfd", "leds", "thunderbolt")),
]
UNWANTED_UNITS = [
    "systemd-timesyncd.service", "systemd-update-utmp.service", "systemd-logind.service",
    "getty.target", "getty@tty1.service", "serial-getty@ttyS0.service", "e2scrub_reap.service",
    "systemd-networkd.service", "apt-daily.timer", "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer", "systemd-hwdb-update.service",
    "systemd-journal-flush.service", "systemd-pcrphase.service", "xfs_scrub_all.timer",
    "systemd-tmpfiles-clean.timer", "systemd-binfmt.service", "systemd-machine-id-commit.service",
]

# 6.1.0-56-amd64, 6.12.117+deb13-amd64; not the -rt- and -cloud- flavours
KERNEL_RELEASE = re.compile(r"[\d.]+(-\d+|\+[\w~.+]+)*-amd64$")


_distribution: str | None = None


class ImageError(Exception):
    """The image could not be made; the text says why and what to do."""


@dataclass(frozen=True)
class Image:
    """A finished image: everything that a virtual machine is started from.

    With BASE the root is that of another image, and the modules of the kernel are on a disk,
    from which they are copied into the guest before the snapshot is taken.
    """

    place: Path
    kernel_release: str
    base: Path | None = None
    architecture: str = "amd64"

    @property
    def root(self) -> Path:
        return (self.base or self.place) / "root.img"

    @property
    def modules(self) -> Path:
        return self.place / "modules.img"

    @property
    def kernel(self) -> Path:
        return self.place / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        return self.place / "initramfs"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """The output of COMMAND; ImageError if it fails."""
    result = subprocess.run([str(word) for word in command], cwd=cwd, text=True,
                            stdin=subprocess.DEVNULL, capture_output=True)
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-20:])
        raise ImageError(f"{command[0]} failed with exit code {result.returncode}:\n{tail}")
    return result.stdout


def kernel_release() -> str:
    """The kernel of the guest: the newest one that headers are installed for."""
    found = [path.parent.name for path in Path("/lib/modules").glob("*/build")
             if KERNEL_RELEASE.match(path.parent.name) and (path / "Makefile").exists()]
    if not found:
        raise ImageError("no kernel headers: run `tests/setup check` or `tests/setup demo` as "
                         "root (they are in the package linux-headers-amd64)")
    return max(found, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def _headers_version(release: str) -> str:
    return run("dpkg-query", "-W", "-f", "${Version}", f"linux-headers-{release}")


def use(name: str) -> None:
    """From now on guests of this process are of Debian NAME: "bookworm", "trixie"."""
    global _distribution
    _distribution = name


def distribution() -> str:
    return _distribution or debian.of_machine()


@functools.cache
def newest_kernel(name: str) -> tuple[str, str]:
    """Release and version of the newest kernel that Debian NAME offers."""
    offered = debian.release(name)
    version = offered.versions("linux-image-amd64")[0]
    package, = (found for found in offered.depends("linux-image-amd64", version)
                if found.startswith("linux-image-"))
    return package.removeprefix("linux-image-"), version


@functools.cache
def _kernel(name: str) -> tuple[str, str]:
    """Release and version of the kernel of guests of Debian NAME."""
    if name != debian.of_machine():
        return newest_kernel(name)
    release = kernel_release()
    return release, _headers_version(release)


def _check_kernel_is_offered(name: str, release: str, version: str) -> None:
    if version not in debian.release(name).versions(f"linux-image-{release}"):
        raise ImageError(f"headers of kernel {release} {version} are installed, but apt offers "
                         "no such image: run `apt-get update && apt-get install "
                         "linux-headers-amd64`")


def add_modules(unpacked: Path, release: str, root: Path) -> None:
    """Move the modules of a kernel's UNPACKED package into ROOT."""
    modules, = unpacked.glob(f"**/lib/modules/{release}")
    target = root / "usr/lib/modules"
    (target / release).mkdir(parents=True, exist_ok=True)    # the headers' have been here
    for part in modules.iterdir():
        shutil.move(part, target / release / part.name)


def index_modules(release: str, root: Path) -> None:
    """Remove the drivers that no guest needs, and write the index of the others."""
    for unused in UNUSED_DRIVERS:
        shutil.rmtree(root / "usr/lib/modules" / release / unused, ignore_errors=True)
    run("depmod", "-b", root, release)


def _add_kernel(name: str, release: str, version: str, scratch: Path, root: Path) -> None:
    """The kernel and its modules, unless the headers' package has brought them along."""
    if not (root / "boot" / f"vmlinuz-{release}").exists():
        package, = debian.release(name).download(scratch, [f"linux-image-{release}={version}"])
        unpacked = scratch / "kernel"
        run("dpkg-deb", "-x", package, unpacked)
        package.unlink()
        add_modules(unpacked, release, root)
        shutil.move(unpacked / "boot" / f"vmlinuz-{release}", root / "boot")
        shutil.rmtree(unpacked)
    index_modules(release, root)


def add_own_files(root: Path) -> None:
    """What makes a system one of the test bed: its agent, and nothing that runs by the clock."""
    agent = root / "usr/local/sbin/dm-remap-agent"
    shutil.copy(GUEST / "agent.py", agent)
    agent.chmod(0o755)
    units = root / "etc/systemd/system"
    shutil.copy(GUEST / "agent.service", units / "dm-remap-agent.service")
    wanted = units / "sysinit.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "dm-remap-agent.service").symlink_to("../dm-remap-agent.service")
    for unit in UNWANTED_UNITS:
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    (root / "etc/fstab").write_text("/dev/vda / ext4 rw 0 0\n")
    (root / "etc/hostname").write_text("guest\n")
    (root / "etc/machine-id").write_text("646d2d72656d61702d67756573740000\n")
    journal = root / "etc/systemd/journald.conf.d"
    journal.mkdir(parents=True, exist_ok=True)
    (journal / "volatile.conf").write_text("[Journal]\nStorage=volatile\n")


def _add_tree(root: Path) -> None:
    """A real tree of files in /srv/tree, its checksums beside it: what file systems are fed."""
    tree = root / "srv/tree"
    tree.mkdir()
    for pattern in TREE:
        for source in root.glob(pattern):
            shutil.copytree(source, tree / source.name, symlinks=True)
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    sums = (f"{hashlib.blake2b(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n"
            for path in files)
    (root / "srv/tree.b2sums").write_text("".join(sums))


def make_initramfs(offered: apt.Release, release: str, root: Path, scratch: Path,
                   modules: Sequence[str] = INITRAMFS_MODULES) -> None:
    """SCRATCH/initramfs mounts the root disk of a system in ROOT, and hands over to systemd.

    It loads MODULES, except those that are built in; busybox comes from OFFERED.
    """
    tree = scratch / "initramfs.d"
    (tree / "bin").mkdir(parents=True)
    package, = offered.download(scratch, ["busybox-static"])
    run("dpkg-deb", "-x", package, scratch / "busybox")
    package.unlink()
    busybox = next(path for path in scratch.glob("busybox/**/bin/busybox") if path.is_file())
    shutil.move(busybox, tree / "bin/busybox")
    shutil.rmtree(scratch / "busybox")
    shutil.copy(GUEST / "init", tree / "init")
    (tree / "init").chmod(0o755)
    names: dict[str, Path] = {}
    for module in modules:
        if module == "crc32c_generic" and not list(root.glob(f"usr/lib/modules/**/{module}.ko*")):
            continue                        # newer kernels have it built in
        shown = run("modprobe", "-d", root, "-S", release, "--show-depends", module)
        for line in shown.splitlines():
            words = line.split()
            if words[0] == "insmod":
                names[Path(words[1]).name] = Path(words[1])
    for name, path in names.items():
        if path.suffix == ".xz":
            (tree / name.removesuffix(".xz")).write_bytes(lzma.decompress(path.read_bytes()))
        else:
            shutil.copy(path, tree / name)
    listed = "".join(f"/{name.removesuffix('.xz')}\n" for name in names)
    (tree / "modules").write_text(listed)
    files = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with open(scratch / "initramfs", "wb") as archive:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, check=True,
                       input=files.encode(), stdout=archive)
    shutil.rmtree(tree)


def check_tools() -> None:
    if not debian.is_root():
        raise ImageError("making the guest's root image needs root: use sudo")
    missing = [tool for tool in ("mmdebstrap", "mke2fs", "cpio", "depmod", "qemu-system-x86_64")
               if not shutil.which(tool)]
    if missing:
        raise ImageError(f"{', '.join(missing)} missing: run `tests/setup check` or "
                         "`tests/setup demo` as root")


def make_disk(root: Path, place: Path) -> None:
    """An image of the system in ROOT, which is gone then."""
    run("mke2fs", "-q", "-t", "ext4", "-L", "guest", "-d", root, place, SIZE)
    debian.remove(root)


def image() -> Image:
    """The image of the release in use, made if need be (three minutes)."""
    check_tools()
    try:
        name = distribution()
        release, version = _kernel(name)
    except (apt.AptError, debian.DebianError) as error:
        raise ImageError(str(error)) from error
    key = cache.key_of(Path(__file__), Path(debian.__file__), name, release, version,
                       *sorted(path for path in GUEST.iterdir() if path.is_file()))

    def build(scratch: Path) -> None:
        print(f"making the guest's root image (Debian {name}, kernel {release}): "
              "some three minutes, once", file=sys.stderr, flush=True)
        root = scratch / "root"
        try:
            _check_kernel_is_offered(name, release, version)
            debian.bootstrap(name, root, [*PACKAGES, f"linux-headers-{release}"])
            _add_kernel(name, release, version, scratch, root)
            shutil.copy(root / "boot" / f"vmlinuz-{release}", scratch / "vmlinuz")
            add_own_files(root)
            _add_tree(root)
            make_initramfs(debian.release(name), release, root, scratch)
        except (apt.AptError, debian.DebianError) as error:
            raise ImageError(str(error)) from error
        make_disk(root, scratch / "root.img")

    return Image(cache.entry("guest", key, build), release)


def main() -> int:
    try:
        for name in sys.argv[1:2]:
            use(name)
        print(image().place)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
