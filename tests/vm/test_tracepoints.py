# SPDX-License-Identifier: GPL-2.0-or-later
"""What the slow path tells in tracefs."""

import re

from tests.harness import qemu_module
from tests.harness.qemu import Machine
from tests.vm import remap
from tests.vm.conftest import StartServer

MIB = 1 << 20
TRACING = "/sys/kernel/tracing"


def events(vm: Machine) -> list[tuple[str, dict[str, str]]]:
    """Name and fields of all that was traced, in order; then nothing of it is left."""
    text = vm.run(f"cat {TRACING}/trace; echo >{TRACING}/trace").out
    found = []
    for line in text.splitlines():
        if match := re.search(r": dm_remap_(\w+): (\d+):(\d+) (.*)", line):
            name, major, minor, rest = match.groups()
            assert vm.text(f"readlink -f {remap.PATH}") == f"/dev/dm-{minor}"
            fields = dict(word.split("=") for word in rest.split() if "=" in word)
            fields["fresh"] = str(" fresh" in rest)
            found.append((name, fields))
    return found


def test_slow_path(vm: Machine, serve: StartServer) -> None:
    """Relocation from its probe to its commit, requests, refusals and modes, in their order."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    device = remap.plug_in(vm, qemu_module.build(), server.disks())
    # Counters that are saved meanwhile are commits, too.
    vm.run("echo N >/sys/module/dm_remap/parameters/dm_remap_autosave_enabled")
    put = f"dd if=/dev/zero of={device} bs=4k count=1 oflag=direct status=none"
    vm.run(f"mount -t tracefs none {TRACING} 2>/dev/null; echo 1 >{TRACING}/events/dm_remap/enable")

    vm.run(f"{put} seek=100")
    assert events(vm) == [], "a good write has no slow path"

    server.disk("main").bad(1002, 2)
    vm.run(f"{put} seek=125")
    found = events(vm)
    assert [name for name, _ in found] == [
        "probe", "probe", "relocate_begin", "commit", "relocate_end"]
    assert found[0][1]["alive"] == "1"
    begin, commit, end = (fields for _, fields in found[2:])
    assert (begin["sector"], begin["mask"], begin["fresh"]) == ("1000", "0xff", "True")
    assert commit["error"] == "0" and int(commit["block"]) == 1
    assert (end["slot"], end["result"], end["status"]) == (begin["slot"], "committed", "ok")

    vm.run(f"dmsetup message {remap.NAME} 0 remap 2000 8")
    vm.run(f"dmsetup message {remap.NAME} 0 unremap 2000 8")
    found = events(vm)
    assert [name for name, _ in found] == ["commit", "remap", "commit", "unremap"]
    assert (found[1][1]["sector"], found[1][1]["error"]) == ("2000", "0")
    assert (found[3][1]["mask"], found[3][1]["error"]) == ("0xff", "0")

    vm.run(f"dmsetup message {remap.NAME} 0 freeze")
    server.disk("main").bad(3000, 8)
    assert vm.run(f"{put} seek=375", check=False).code
    found = events(vm)
    # The freeze is in the superblock (E7) before it is told.
    assert [name for name, _ in found] == ["commit", "mode", "probe", "probe", "refuse"]
    assert found[0][1]["block"] == "0"
    assert (found[1][1]["old"], found[1][1]["new"]) == ("rw", "frozen")
    assert (found[4][1]["sector"], found[4][1]["sectors"]) == ("3000", "8")
