# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages as the other Debian release builds them: `make deb` in a chroot of it.

Owns the chroot, which tests/setup fills as it does on a machine, and what was built there.

    python3 -m tests.harness.deb_chroot            build them, print their directory
"""

import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.harness import apt, cache, debian
from tests.harness.kernels import PROJECT, BuildError

SETUP = PROJECT / "tests" / "setup"
# Their versions make the chroot's key: a new lintian has new opinions.
FOLLOWED = ("gcc", "debhelper", "lintian", "libc6-dev", "dkms")
BUILD = """set -e
cd /build/dm-remap-*
DEB_BUILD_OPTIONS=$0 make -s deb
"""


def _make(name: str, scratch: Path) -> None:
    print(f"making a chroot of Debian {name} that builds packages: two minutes, once",
          file=sys.stderr, flush=True)
    root = scratch / "root"
    debian.bootstrap(name, root, [], "minbase")
    shutil.copy(SETUP, root / "setup")
    debian.in_chroot(root, "/setup deb && apt-get clean")


def chroot(name: str) -> Path:
    """A system of release NAME after `tests/setup deb`. It is the cache's: copy it to change it."""
    offered = debian.release(name)
    versions = [version for package in FOLLOWED for version in offered.versions(package)[:1]]
    key = cache.key_of(Path(__file__), Path(debian.__file__), SETUP, name, *versions)
    return cache.entry(f"deb-{name}", key, lambda scratch: _make(name, scratch)) / "root"


def _build(name: str, options: str, tarball: Path, place: Path) -> None:
    root = place / "root"
    try:
        debian.copy(chroot(name), root)
        (root / "build").mkdir()
        subprocess.run(["tar", "-C", root / "build", "-xf", tarball], check=True)
        debian.in_chroot(root, BUILD, options)
        for path in root.glob("build/dm-remap-*/build/deb/*"):
            if path.is_file():
                shutil.copy(path, place)
    except debian.DebianError as error:
        raise BuildError(f"make deb failed on Debian {name}: {error}") from error
    finally:
        debian.remove(root)


@functools.cache
def built(name: str, options: str = "nocheck") -> Path:
    """The directory with the packages of this tree as release NAME builds them."""
    with tempfile.TemporaryDirectory(prefix="dm-remap-deb-") as scratch:
        tarball = Path(subprocess.run([PROJECT / "packaging" / "tarball", scratch], check=True,
                                      text=True, capture_output=True).stdout.strip())
        key = cache.key_of(Path(__file__), chroot(name).parent.name, options, tarball)
        return cache.entry(f"packages-{name}", key,
                           lambda place: _build(name, options, tarball, place))


def main() -> int:
    try:
        print(built(debian.other()))
    except (apt.AptError, debian.DebianError, BuildError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
