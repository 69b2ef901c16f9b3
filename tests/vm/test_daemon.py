# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd under systemd: enabled, heard in the journal, killed, stopped (rows 27, 28)."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import qemu_module
from tests.harness.qemu import Machine
from tests.vm import remap
from tests.vm.conftest import StartServer

MIB = 1 << 20
PROJECT = Path(__file__).resolve().parents[2]
WRITE = "dd if=/dev/zero of={} bs=4k count=1 seek={} oflag=direct status=none"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make install` puts on a system."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["make", "-s", "-C", str(PROJECT), "install", f"DESTDIR={root}"], check=True,
                   capture_output=True)
    for program in (root / "usr/sbin").iterdir():
        subprocess.run(["strip", str(program)], check=True)
    return root


def install(vm: Machine, root: Path) -> None:
    for part in ("usr/sbin", "usr/lib/systemd", "etc"):
        for path in sorted((root / part).rglob("*")):
            if path.is_file():
                target = "/" + str(path.relative_to(root))
                vm.run(f"mkdir -p {Path(target).parent}")
                vm.put(path, target, 0o755 if "sbin" in target else 0o644)
    vm.run("journalctl --update-catalog && systemctl daemon-reload && "
           "systemctl enable --now dm-remapd")


def entries(vm: Machine, **fields: str) -> list[dict[str, Any]]:
    match = " ".join(f"{name}='{value}'" for name, value in fields.items())
    found = vm.text(f"journalctl -q --sync; journalctl -q -u dm-remapd -o json {match}")
    return [json.loads(line) for line in found.splitlines()]


def wait_for(vm: Machine, **fields: str) -> dict[str, Any]:
    match = " ".join(f"{name}='{value}'" for name, value in fields.items())
    vm.run(f"for i in $(seq 100); do journalctl -q -u dm-remapd {match} | grep -q . && exit; "
           "sleep 0.2; done; journalctl -u dm-remapd >&2; exit 1")
    return entries(vm, **fields)[0]


def test_enabled_killed_and_stopped(vm: Machine, serve: StartServer, installed: Path) -> None:
    server = serve(main=64 * MIB, spare=32 * MIB)
    install(vm, installed)
    device = remap.plug_in(vm, qemu_module.build(), server.disks())
    vm.run("systemctl restart dm-remapd")   # it has just met the module: not by chance
    server.disk("main").bad(800, 8, kind="write")
    vm.run(WRITE.format(device, 100))
    told = wait_for(vm, DM_REMAP_EVENT="relocated")
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
    wait_for(vm, DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="1600")

    # stopped: the counters are saved, and bad sectors go on being remapped
    saves = remap.status(vm).values["saves_ok"]
    vm.run("systemctl stop dm-remapd")
    assert remap.status(vm).values["saves_ok"] == saves + 1
    server.disk("main").bad(2400, 8, kind="write")
    vm.run(WRITE.format(device, 300))
    after = remap.status(vm)
    assert after.mode == "rw" and after.values["relocations"] == 3
    assert vm.text("systemctl show -P Result dm-remapd").strip() == "success"
