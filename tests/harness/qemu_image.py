# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's root image: the machine's own distribution, kernel and initramfs.

Owns the recipe of the image and the choice of the guest's kernel, which is the
one that the installed linux-headers package is for. Packages come from where
this machine's apt gets its own. Callers: qemu.py, and tests that want a module
for the guest.

    python3 -m tests.harness.qemu_image            make it, print its directory
"""

import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness import cache

PROJECT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).with_name("guest")
SIZE = "3G"

PACKAGES = [
    "systemd", "systemd-sysv", "udev", "dmsetup", "e2fsprogs", "xfsprogs", "kmod", "util-linux",
    "util-linux-extra", "procps", "fdisk", "python3-minimal", "libpython3-stdlib",
    "busybox-static",
    # what dmremap and dm-remapd are linked to, beyond what is there already
    "libnl-3-200", "libnl-genl-3-200", "libeconf0",
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


class ImageError(Exception):
    """The image could not be made; the text says why and what to do."""


@dataclass(frozen=True)
class Image:
    """A finished image: everything that a virtual machine is started from."""

    place: Path
    kernel_release: str

    @property
    def root(self) -> Path:
        return self.place / "root.img"

    @property
    def kernel(self) -> Path:
        return self.place / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        return self.place / "initramfs"


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    result = subprocess.run([str(word) for word in command], cwd=cwd, text=True,
                            stdin=subprocess.DEVNULL, capture_output=True)
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-20:])
        raise ImageError(f"{command[0]} failed with exit code {result.returncode}:\n{tail}")
    return result.stdout


def _release_of_machine() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    raise ImageError("/etc/os-release has no VERSION_CODENAME: this needs a released Debian")


def _sources(release: str) -> str:
    """The machine's own apt sources of the distribution, in one-line style."""
    lines = _run("apt-get", "indextargets", "--format",
                 "$(ORIGIN)|$(RELEASE)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
                 "Created-By: Packages").splitlines()
    fields = [line.split("|", 2) for line in lines]
    own = [source for origin, suite, source in fields
           if origin == "Debian" and suite.split("-")[0] == release]
    if not own:
        raise ImageError(f"apt knows no sources of Debian {release}: run `apt-get update`; "
                         "if that does not help, /etc/apt/sources.list lacks them")
    return "\n".join(dict.fromkeys(own)) + "\n"


def _apt_options() -> list[str]:
    """Proxies and the like that the machine's apt needs to reach its sources."""
    wanted = re.compile(r"^Acquire::(https?::|Check-|Retries)\S* \".*\";$")
    return [f"--aptopt={line}" for line in _run("apt-config", "dump").splitlines()
            if wanted.match(line) and not line.endswith('"";')]


def kernel_release() -> str:
    """The kernel of the guest: the newest one that headers are installed for."""
    found = [path.parent.name for path in Path("/lib/modules").glob("*/build")
             if KERNEL_RELEASE.match(path.parent.name) and (path / "Makefile").exists()]
    if not found:
        raise ImageError("no kernel headers: run `tests/setup check` or `tests/setup demo` as "
                         "root (they are in the package linux-headers-amd64)")
    return max(found, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def _headers_version(release: str) -> str:
    return _run("dpkg-query", "-W", "-f", "${Version}", f"linux-headers-{release}")


def _check_kernel_is_offered(release: str, version: str) -> None:
    offered = {line.split("|")[1].strip()
               for line in _run("apt-cache", "madison", f"linux-image-{release}").splitlines()}
    if version not in offered:
        raise ImageError(f"headers of kernel {release} {version} are installed, but apt offers "
                         "no such image: run `apt-get update && apt-get install "
                         "linux-headers-amd64`")


def _add_kernel(release: str, version: str, scratch: Path, root: Path) -> None:
    unpacked = scratch / "kernel"
    unpacked.mkdir()
    _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download",
         f"linux-image-{release}={version}", cwd=scratch)
    package, = scratch.glob("linux-image-*.deb")
    _run("dpkg-deb", "-x", package, unpacked)
    package.unlink()
    modules, = unpacked.glob(f"**/lib/modules/{release}")
    for unused in UNUSED_DRIVERS:
        shutil.rmtree(modules / unused, ignore_errors=True)
    target = root / "usr/lib/modules"
    (target / release).mkdir(parents=True, exist_ok=True)    # the headers' package has been here
    for part in modules.iterdir():
        shutil.move(part, target / release / part.name)
    _run("depmod", "-b", root, release)
    shutil.move(unpacked / "boot" / f"vmlinuz-{release}", scratch / "vmlinuz")
    shutil.rmtree(unpacked)


def _add_own_files(root: Path) -> None:
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


def _make_initramfs(release: str, root: Path, scratch: Path) -> None:
    tree = scratch / "initramfs.d"
    (tree / "bin").mkdir(parents=True)
    shutil.copy(root / "usr/bin/busybox", tree / "bin/busybox")
    shutil.copy(GUEST / "init", tree / "init")
    (tree / "init").chmod(0o755)
    names: dict[str, Path] = {}
    for module in INITRAMFS_MODULES:
        if module == "crc32c_generic" and not list(root.glob(f"usr/lib/modules/**/{module}.ko*")):
            continue                        # newer kernels have it built in
        shown = _run("modprobe", "-d", root, "-S", release, "--show-depends", module)
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


def image() -> Image:
    """The image of this machine's distribution, made if need be (three minutes)."""
    if os.geteuid():
        raise ImageError("making the guest's root image needs root: use sudo")
    missing = [tool for tool in ("mmdebstrap", "mke2fs", "cpio", "depmod", "qemu-system-x86_64")
               if not shutil.which(tool)]
    if missing:
        raise ImageError(f"{', '.join(missing)} missing: run `tests/setup check` or "
                         "`tests/setup demo` as root")
    distribution = _release_of_machine()
    release = kernel_release()
    version = _headers_version(release)
    key = cache.key_of(Path(__file__), distribution, release, version,
                       *sorted(path for path in GUEST.iterdir() if path.is_file()))

    def build(scratch: Path) -> None:
        print(f"making the guest's root image (Debian {distribution}, kernel {release}): "
              "some three minutes, once", file=sys.stderr, flush=True)
        _check_kernel_is_offered(release, version)
        root = scratch / "root"
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*"
                    for name in ("doc", "man", "locale", "info")]
        sources = scratch / "sources.list"
        sources.write_text(_sources(distribution))
        packages = ",".join([*PACKAGES, f"linux-headers-{release}"])
        _run("mmdebstrap", "--variant=apt", "--mode=root", "--format=directory",
             f"--include={packages}", '--aptopt=Apt::Install-Recommends "false"',
             *_apt_options(), *excluded, distribution, root, sources)
        sources.unlink()
        _add_kernel(release, version, scratch, root)
        _add_own_files(root)
        _add_tree(root)
        _make_initramfs(release, root, scratch)
        _run("mke2fs", "-q", "-t", "ext4", "-L", "guest", "-d", root, scratch / "root.img", SIZE)
        shutil.rmtree(root)

    return Image(cache.entry("guest", key, build), release)


def main() -> int:
    try:
        print(image().place)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
