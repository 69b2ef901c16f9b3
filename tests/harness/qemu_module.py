# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remap.ko for the guest's kernel, built on the host from the sources as they are.

Owns build/vm/. Callers: tests/vm, tests/demo.

    python3 -m tests.harness.qemu_module           build it, print its path
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.harness import kernels, qemu_image

PLACE = kernels.PROJECT / "build" / "vm"


def build() -> Path:
    """The module, built anew where its sources have changed. Any warning is an error."""
    release = qemu_image.kernel_release()
    place = PLACE / release
    kernels.mirror_sources(place)
    # Without pahole there is no BTF to make, and the kernel's makefile would say so.
    command = ["make", "-C", str(place / "kmod"), f"KDIR=/lib/modules/{release}/build",
               f"-j{os.cpu_count() or 1}", "KCFLAGS=-Werror", "CONFIG_DEBUG_INFO_BTF_MODULES="]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    module = place / "kmod" / "dm-remap.ko"
    if result.returncode or not module.is_file():
        raise kernels.BuildError(f"dm-remap.ko does not build for {release}:\n"
                                 f"{result.stdout}{result.stderr}")
    return module


def main() -> int:
    try:
        print(build())
    except (kernels.BuildError, qemu_image.ImageError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
