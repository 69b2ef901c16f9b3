# SPDX-License-Identifier: GPL-2.0-or-later
"""A root image for guests of the architecture arm64, whose memory order is weaker.

Owns its recipe. The packages are unpacked but not configured, because their programs do not
run here; systemd starts without that. qemu_kernels.py adds the kernel, and calls this.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.harness import apt, cache, debian_kernels, qemu_image
from tests.harness.qemu_image import Image, ImageError, run

QEMU = "qemu-system-aarch64"
SIZE = "1G"
PACKAGES = [
    "base-files", "base-passwd", "bash", "dash", "coreutils", "diffutils", "findutils", "grep",
    "gzip", "libc-bin", "mawk", "mount", "sed", "tar", "systemd", "systemd-sysv", "udev", "kmod",
    "dmsetup", "e2fsprogs", "procps", "util-linux", "util-linux-extra", "python3-minimal",
    "libpython3-stdlib", "libnl-3-200", "libnl-genl-3-200", "libblkid1",
    "libsmartcols1", "libsystemd0", "libudev1", "zlib1g",
]
# Units that take most of the boot in an emulated guest, and that no test needs.
UNWANTED_UNITS = [
    "systemd-firstboot.service", "systemd-hibernate-clear.service", "systemd-journal-flush.service",
    "systemd-machine-id-commit.service", "systemd-pcrmachine.service", "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service", "systemd-random-seed.service", "systemd-sysusers.service",
    "systemd-tmpfiles-setup-dev-early.service", "systemd-tmpfiles-setup-dev.service",
    "systemd-tpm2-setup-early.service", "systemd-tpm2-setup.service",
    "systemd-udev-load-credentials.service", "systemd-update-done.service",
    "systemd-user-sessions.service", "systemd-ldconfig.service", "systemd-hwdb-update.service",
]
PATIENT = "[Manager]\nDefaultDeviceTimeoutSec=10min\nDefaultTimeoutStartSec=10min\n"


def _set_up(root: Path) -> None:
    """Do what the packages' scripts would have done, as far as a guest needs it."""
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    (root / "usr/bin/awk").symlink_to("mawk")
    for place in ("etc/systemd/system", "usr/local/sbin", "usr/lib/modules", "mnt", "srv/tree"):
        (root / place).mkdir(parents=True, exist_ok=True)
    qemu_image.add_own_files(root)
    for unit in UNWANTED_UNITS:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    settings = root / "etc/systemd/system.conf.d"
    settings.mkdir(exist_ok=True)
    (settings / "patient.conf").write_text(PATIENT)


def _build(scratch: Path) -> None:
    print(f"making the root image for arm64 (Debian {debian_kernels.RELEASE}): two minutes, once",
          file=sys.stderr, flush=True)
    debian = debian_kernels.debian("arm64")
    root = scratch / "root"
    sources = scratch / "sources.list"
    sources.write_text(debian.sources[""] + debian.sources["security"])
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*"
                for name in ("doc", "man", "locale", "info")]
    run("mmdebstrap", "--variant=extract", "--mode=root", "--format=directory",
        "--architectures=arm64", f"--include={','.join(PACKAGES)}",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--aptopt={line}" for line in apt.acquire_options()), *excluded,
        debian_kernels.RELEASE, root, sources)
    sources.unlink()
    _set_up(root)
    run("mke2fs", "-q", "-t", "ext4", "-L", "guest", "-d", root, scratch / "root.img", SIZE)
    shutil.rmtree(root)


def base() -> Image:
    """The root image, with no kernel yet."""
    if os.geteuid():
        raise ImageError("making the guest's root image needs root: use sudo")
    if not shutil.which(QEMU):
        raise debian_kernels.Unavailable(f"{QEMU} is missing: run `tests/setup all` as root")
    key = cache.key_of(Path(__file__), debian_kernels.RELEASE, qemu_image.GUEST / "agent.py",
                       qemu_image.GUEST / "agent.service")
    return Image(cache.entry("guest-arm64", key, _build), "", architecture="arm64")
