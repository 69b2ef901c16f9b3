# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that are pulled out of a running guest and plugged in again."""

from tests.harness import qemu_module
from tests.harness.qemu import Machine, disk_path
from tests.vm import remap
from tests.vm.conftest import StartServer

MIB = 1 << 20


def test_a_pulled_main_maps_nothing(vm: Machine, serve: StartServer) -> None:
    """P5: a pulled cable does not eat the spare; P2: nor is anything invented meanwhile."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    device = remap.plug_in(vm, qemu_module.build(), server.disks())
    server.disk("main").bad(1000, 8)
    vm.run(f"dd if=/dev/urandom of=/run/data bs=1M count=4 status=none && "
           f"dd if=/run/data of={device} bs=64k oflag=direct conv=fsync status=none")
    before = remap.status(vm)
    assert before.used > 1                  # the bad chunk, beside the probe's

    vm.remove_disk("main")
    write = vm.run(f"dd if=/dev/zero of={device} bs=64k count=16 oflag=direct", check=False)
    assert write.code and "Input/output error" in write.err
    read = vm.run(f"dd if={device} of=/run/back bs=64k count=1 iflag=direct", check=False)
    assert read.code and "Input/output error" in read.err
    pulled = remap.status(vm)
    assert (pulled.used, pulled.values["relocations"]) == (before.used,
                                                           before.values["relocations"])
    vm.run(f"dmsetup remove {remap.NAME}")
    main = vm.add_disk("main", nbd=server.disk("main").socket_path)
    remap.activate(vm, main, disk_path("spare"))
    vm.run(f"dd if={device} of=/run/back bs=64k count=64 iflag=direct status=none && "
           "cmp /run/data /run/back")
    again = remap.status(vm)
    assert again.mode == "rw" and again.used == before.used
    assert again.values["lost_sectors"] == 0


def test_a_pulled_spare_acknowledges_nothing_that_needs_it(vm: Machine,
                                                           serve: StartServer) -> None:
    """P8: without the spare no write is remapped, and what needs none goes on."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    device = remap.plug_in(vm, qemu_module.build(), server.disks())
    server.disk("main").bad(8000, 8)
    vm.remove_disk("spare")
    put = "dd if=/dev/zero of={} bs=4k count=1 seek={} oflag=direct"
    vm.run(put.format(device, 10))
    bad = vm.run(put.format(device, 1000), check=False)
    assert bad.code and "Input/output error" in bad.err
    assert remap.status(vm).values["relocations"] == 0
    vm.run(f"dmsetup remove {remap.NAME}")
    server.disk("main").clear()
    spare = vm.add_disk("spare", nbd=server.disk("spare").socket_path)
    remap.activate(vm, disk_path("main"), spare)
    vm.run(put.format(device, 1000))
    assert remap.status(vm).mode == "rw"
