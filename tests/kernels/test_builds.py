# SPDX-License-Identifier: GPL-2.0-or-later
"""The module builds for each kernel, another architecture and compiler included, and its
loader will find it.

Every warning is an error (W=1 and -Werror), and so is a symbol that the kernel does
not have. A kernel that the machine's mirror does not offer is skipped, with a sentence.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import headers
from tests.harness.debian_kernels import Unavailable
from tests.kernels import guests, results


@pytest.fixture(scope="module", params=[
    *headers.KERNELS, *(pytest.param(name, marks=pytest.mark.slow) for name in headers.OTHERS)])
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def built(kernel: str) -> headers.Built:
    try:
        made = guests.module(kernel)
    except Unavailable as reason:
        pytest.skip(str(reason))
    results.kernel(kernel, made.kernel_release)
    return made


def modinfo(module: Path, field: str) -> str:
    return subprocess.run(["modinfo", "-F", field, module], check=True, capture_output=True,
                          text=True).stdout.strip()


def test_builds_without_warnings(built: headers.Built) -> None:
    assert re.search(r"MODPOST.*Module\.symvers", built.output), "modpost has not looked at it"
    complaints = [line for line in built.output.splitlines()
                  if re.search(r"warning|error|undefined|skipping", line, re.IGNORECASE)]
    assert complaints == []


def test_says_the_truth_about_itself(built: headers.Built) -> None:
    assert modinfo(built.module, "vermagic").split()[0] == built.kernel_release
    # device-mapper asks for module dm-NAME when a table names a target that it does not know
    assert modinfo(built.module, "name") == "dm_remap"
    assert modinfo(built.module, "description")
    assert re.fullmatch(r"\d+\.\d+\.\d+", modinfo(built.module, "version"))
    # symbols that are for GPL modules only need this, and no module but device-mapper is needed
    assert modinfo(built.module, "license") in ("GPL", "GPL v2")
    needed = set(modinfo(built.module, "depends").replace("_", "-").split(",")) - {""}
    assert needed <= {"dm-mod"}
