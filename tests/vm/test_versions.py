# SPDX-License-Identifier: GPL-2.0-or-later
"""O25: an older module with today's packages, as an upgrade leaves it until the next boot."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.harness import kernels, qemu_image
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import LEAVE, adopt, is_whole, plug, status, unplug
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = pytest.mark.packages
# The last module before blocks could be frozen, spares moved and caches asked about.
OLDER = "16144d5"


@pytest.fixture(scope="module")
def older_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module as it was at OLDER, built for the guest's kernel."""
    archive = subprocess.run(["git", "-C", kernels.PROJECT, "archive", OLDER, "kmod", "common"],
                             capture_output=True)
    if archive.returncode:
        pytest.skip(f"the repository's history up to {OLDER} is not here")
    place = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(place)
    built = subprocess.run(
        ["make", "-C", place / "kmod", f"KDIR=/lib/modules/{qemu_image.kernel_release()}/build",
         f"-j{os.cpu_count() or 1}", "CONFIG_DEBUG_INFO_BTF_MODULES="], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    assert built.returncode == 0, built.stdout[-2000:]
    return place / "kmod" / "dm-remap.ko"


@pytest.mark.slow
def test_an_older_module(vm: Machine, serve: StartServer, older_module: Path) -> None:
    """Everything it knows works, and what it does not know breaks nothing. Then the new module
    takes over its set."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    vm.load_module(older_module)
    main, spare = plug(vm, server, "main", "spare")
    adopt(vm, main, spare)
    is_whole(vm)
    for sector in range(20000, 120000, 1000):    # some of them are where the file comes
        server.disk("main").bad(sector, 8, kind="write")
    vm.run("head -c 20M /dev/urandom >/mnt/more && b2sum /mnt/more >>/mnt/data.b2 && sync")
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="relocated")
    assert told["DM_REMAP_NAME"] == "data" and told["DM_REMAP_CAUSE"] == "write-error"
    state = status(vm)
    line = vm.text("dmsetup status data").split()
    assert state["mode"] == "rw" and state["relocations"] > 10
    assert f"{state['used_slots']}/{state['total_slots']}" == line[4]
    shown = json.loads(vm.text("dmremap show data --json"))
    assert len(shown["remaps"]) == state["used_slots"]
    for verb in ("remap data 10000 8", "verify data 10000", "unremap data 10000 8",
                 "metadata-status data", "save data", "sync data", "restore data",
                 "freeze data", "thaw data"):
        vm.run(f"dmremap {verb}")
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    plug(vm, server, "main", "spare")
    is_whole(vm)

    # the next boot: the module that was installed
    vm.run(f"{LEAVE} && rmmod dm_remap && modprobe dm-remap && dmremap activate data")
    is_whole(vm)
    after = status(vm)
    assert (after["mode"], after["used_slots"]) == ("rw", state["used_slots"])
