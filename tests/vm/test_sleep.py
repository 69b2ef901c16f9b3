# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine sleeps while a set is active: a suspend as far as the last moment before the
processor stops, and back. (What the package's hook does afterwards: test_sleep_hook.py.)"""

from tests.harness import qemu_module
from tests.harness.qemu import Machine
from tests.vm import remap
from tests.vm.conftest import StartServer

MIB = 1 << 20
WRITE = "dd if=/dev/urandom of={} bs=4k count=1 seek={} oflag=direct status=none"
READ = "dd if={} bs=4k count=1 skip={} iflag=direct status=none"
REMAPPED, FREE = 100, 3000    # chunks
# the kernel's delay loop is not worth much in an emulated machine
SLEEP = ("echo 20 >/sys/module/suspend/parameters/pm_test_delay && "
         "echo platform >/sys/power/pm_test && echo freeze >/sys/power/state")


def test_a_sleep(vm: Machine, serve: StartServer) -> None:
    """What was there is there, and the next bad sector is remapped as ever."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    main = server.disk("main")
    device = remap.plug_in(vm, qemu_module.build(), [main, server.disk("spare")])
    main.bad(8 * REMAPPED, 8, kind="both")
    vm.run(f"{WRITE.format(device, REMAPPED)} && {READ.format(device, REMAPPED)} >/run/content")
    for number in (1, 2):
        vm.run(SLEEP, 300)
        vm.run(f"{READ.format(device, REMAPPED)} | cmp - /run/content")
        main.bad(8 * (FREE + number), 8, kind="write")
        vm.run(WRITE.format(device, FREE + number))
        vm.run(WRITE.format(device, REMAPPED + 4))
        found = remap.status(vm)
        assert found.mode == "rw" and found.values["relocations"] == 1 + number
