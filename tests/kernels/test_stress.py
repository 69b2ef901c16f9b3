# SPDX-License-Identifier: GPL-2.0-or-later
"""Random I/O on two CPUs, checked against a model, for a minute on each kernel that is booted.

Meanwhile sectors go bad, and random commands of an administrator run. After a power cut another
guest reads what the model says. DM_REMAP_SEED=N repeats the random numbers of a run.
"""

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.harness import qemu_snapshot
from tests.harness.qemu import Machine
from tests.kernels import guests
from tests.kernels.conftest import StartServer
from tests.vm import remap
from tests.vm.adopted import plug
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
SECONDS = 60
SECTORS = 64 * MIB // 512
pytestmark = pytest.mark.slow


@pytest.fixture(params=guests.KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def command(choice: random.Random) -> str:
    """A random command that may be run on a device in use."""
    name, where = remap.NAME, choice.randrange(SECTORS - 64)
    message = f"dmsetup message {name} 0"
    return choice.choice([
        f"dmsetup suspend {name} && dmsetup resume {name}",
        f"dmsetup suspend --noflush {name} && dmsetup resume {name}",
        f"dmsetup table {name} | dmsetup load {name} && dmsetup resume {name}",
        f"{message} remap {where} {choice.randint(1, 64)}",
        f"{message} verify {where}",
        f"{message} sync", f"{message} save", f"{message} restore", f"{message} metadata_status",
        f"dmsetup status {name}",
    ])


def test_a_minute(vm: Machine, guest: guests.Guest, serve: StartServer,
                  record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get("DM_REMAP_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed}")
    choice = random.Random(seed)
    server = serve(main=(64 * MIB, "vcache=on"), spare=(32 * MIB, "vcache=on"))
    device = remap.activate(vm, *plug(vm, server, "main", "spare"))
    jobs = remap.start_io(vm, device, seed)
    done = 0
    with DyingDisk(server.disk("main"), seed, most=600, pause_s=0.5):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            vm.run(f"{{ {command(choice)}; }} >/dev/null", 300)
            done += 1
    models = remap.finish_io(vm, jobs, seed)
    operations = sum(model.operations for model in models)
    before = remap.status(vm)
    assert before.mode == "rw" and before.values["lost_sectors"] == 0
    assert operations > 100 and done > 5 and before.values["relocations"] > 10
    # main is written through: all that was acknowledged is durable
    unflushed = server.powercut()
    assert unflushed["main"] == 0
    assert vm.complaints() == []
    vm.kill()
    server.power_on()

    with qemu_snapshot.restored(guest.place, guest.image) as second:
        remap.activate(second, *plug(second, server, "main", "spare"))
        after = remap.status(second)
        assert (after.mode, after.used) == ("rw", before.used)
        for model in models:
            model.check(second, device)
        assert second.complaints() == []
    record_property("stress", {"seed": seed, "seconds": SECONDS, "operations": operations,
                               "commands": done, "relocations": before.values["relocations"]})
