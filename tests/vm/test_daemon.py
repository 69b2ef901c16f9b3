# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd under systemd: enabled, heard in the journal, killed, stopped (rows 27, 28)."""

import json

from tests.harness.qemu import Machine
from tests.vm import packages, remap
from tests.vm.conftest import StartServer
from tests.vm.packages import wait_for_entry

MIB = 1 << 20
WRITE = "dd if=/dev/zero of={} bs=4k count=1 seek={} oflag=direct status=none"


def test_enabled_killed_and_stopped(vm: Machine, serve: StartServer) -> None:
    server = serve(main=64 * MIB, spare=32 * MIB)
    packages.install(vm)
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    device = remap.activate(vm, main, spare)    # device-mapper loads the module by itself
    vm.run("systemctl restart dm-remapd")   # it has just met the module: not by chance
    server.disk("main").bad(800, 8, kind="write")
    vm.run(WRITE.format(device, 100))
    told = wait_for_entry(vm, DM_REMAP_EVENT="relocated")
    assert (told["DM_REMAP_NAME"], told["DM_REMAP_SECTOR"]) == (remap.NAME, "800")
    assert told["DM_REMAP_CAUSE"] == "write-error" and told["DM_REMAP_ERROR"] == "I/O error"
    explained = vm.text("journalctl -q -x -u dm-remapd DM_REMAP_EVENT=relocated")
    assert "One such sector is no alarm" in explained

    shown, = json.loads(vm.text("dmremap status --json"))["devices"]
    status = remap.status(vm)
    assert (shown["used_slots"], shown["mode"]) == (status.used, status.mode)
    for key, value in status.values.items():
        assert shown[key] == value, key

    # killed: systemd starts it again, and the device did not notice
    vm.run("systemctl kill -s KILL dm-remapd; for i in $(seq 100); do "
           "[ \"$(systemctl show -P NRestarts dm-remapd)\" = 1 ] && "
           "systemctl -q is-active dm-remapd && exit; sleep 0.2; done; exit 1")
    server.disk("main").bad(1600, 8, kind="write")
    vm.run(WRITE.format(device, 200))
    wait_for_entry(vm, DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="1600")

    # stopped: the counters are saved, and bad sectors go on being remapped
    saves = remap.status(vm).values["saves_ok"]
    vm.run("systemctl stop dm-remapd")
    assert remap.status(vm).values["saves_ok"] == saves + 1
    server.disk("main").bad(2400, 8, kind="write")
    vm.run(WRITE.format(device, 300))
    after = remap.status(vm)
    assert after.mode == "rw" and after.values["relocations"] == 3
    assert vm.text("systemctl show -P Result dm-remapd").strip() == "success"
