# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual machine itself: what the other tests here take for granted."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from tests.harness import qemu_snapshot
from tests.harness.agent import AgentError, CommandFailed
from tests.harness.qemu import Machine
from tests.vm.conftest import StartServer

MIB = 1 << 20


def test_restores_in_seconds() -> None:
    begin = time.monotonic()
    with qemu_snapshot.restored() as machine:
        seconds = time.monotonic() - begin
        assert machine.text("nproc") == "2"
        assert machine.text("systemctl is-system-running") == "running"
        clock = float(machine.text("date +%s.%N"))
        assert abs(clock - time.time()) < 10
    print(f"restored in {seconds:.1f} s")
    assert seconds < 30


def test_commands_tell_their_exit_code_and_output(vm: Machine) -> None:
    result = vm.run("echo to stdout; echo to stderr >&2; exit 7", check=False)
    assert (result.code, result.out, result.err) == (7, "to stdout\n", "to stderr\n")
    with pytest.raises(CommandFailed, match="exit code 7"):
        vm.run("exit 7")
    slow = vm.start("sleep 1; echo slow")
    assert vm.text("echo quick") == "quick" and not slow.done
    assert slow.wait().out == "slow\n"
    with pytest.raises(AgentError, match="within 1 s"):
        vm.start("sleep 1000").wait(1)
    assert vm.run("while pgrep -x sleep; do sleep 0.1; done", 30).out is not None


def test_files_arrive_unchanged(vm: Machine) -> None:
    data = os.urandom(3 * MIB + 17)
    vm.put(data, "/run/data")
    assert vm.text("sha256sum </run/data").split()[0] == hashlib.sha256(data).hexdigest()
    assert vm.get("/run/data") == data


def test_disks_come_and_go(vm: Machine, serve: StartServer) -> None:
    server = serve(one=64 * MIB, two=(64 * MIB, "vcache=on"))
    paths = [vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks()]
    for path in paths:
        assert vm.text(f"blockdev --getsize64 {path}") == str(64 * MIB)
    name = vm.text(f"basename $(readlink -f {paths[1]})")
    assert vm.text(f"cat /sys/block/{name}/queue/write_cache") == "write back"
    assert vm.text(f"cat /sys/block/{name}/queue/fua") == "1"
    vm.remove_disk("one")
    vm.run(f"until [ ! -e {paths[0]} ]; do sleep 0.1; done", 30)
    vm.add_disk("one", nbd=server.disk("one").socket_path)


def test_a_bad_sector_is_an_error_in_the_guest(vm: Machine, serve: StartServer) -> None:
    server = serve(disk=64 * MIB)
    path = vm.add_disk("disk", nbd=server.disk("disk").socket_path)
    write = f"dd if=/dev/zero of={path} oflag=direct bs=4k count=1 seek=1000"
    vm.run(write)
    server.disk("disk").bad(8003)
    assert "Input/output error" in vm.run(write, check=False).err
    server.disk("disk").clear()
    vm.run(write)


def test_power_cut_loses_what_was_not_flushed(serve: StartServer) -> None:
    server = serve(disk=(64 * MIB, "vcache=on"))
    disk = server.disk("disk")
    fill = ("head -c 1M /dev/zero | tr '\\0' {} | "
            "dd of={} iflag=fullblock oflag=direct bs=1M seek={} {}")
    with qemu_snapshot.restored() as machine:
        path = machine.add_disk("disk", nbd=disk.socket_path)
        machine.run(fill.format("A", path, 1, "conv=fsync"))
        assert disk.stats()["flushes"] > 0
        machine.run(fill.format("B", path, 2, "conv=nocreat"))
        assert disk.stats()["dirty"] > 0
    server.powercut()
    server.power_on()
    with qemu_snapshot.restored() as machine:
        path = machine.add_disk("disk", nbd=disk.socket_path)
        kept = "dd if={} iflag=direct bs=1M count=1 skip={} | tr -d '\\0' | head -c 4"
        assert machine.text(kept.format(path, 1)) == "AAAA"
        assert machine.text(kept.format(path, 2)) == ""


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with qemu_snapshot.restored() as machine:
        process, work = machine.process, machine.work
        assert work.is_dir()
    assert process.returncode is not None
    assert not work.exists()
