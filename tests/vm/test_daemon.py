# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd under systemd: enabled, heard in the journal, killed, hung, stopped (rows 27, 28).

And alone: what it activates and puts in again when udev's one-shot fails (O13, O18).
"""

import json
import random
import time
from pathlib import Path

import pytest

from tests.harness import exposure
from tests.harness.qemu import Machine
from tests.scenarios import dm
from tests.vm import packages, remap
from tests.vm.conftest import StartServer
from tests.vm.dying_disk import DyingDisk
from tests.vm.packages import wait_for_entry

MIB = 1 << 20
pytestmark = pytest.mark.packages
WRITE = "dd if=/dev/zero of={} bs=4k count=1 seek={} oflag=direct status=none"


@pytest.mark.each_debian
def test_enabled_killed_and_stopped(vm: Machine, serve: StartServer) -> None:
    server = serve(main=64 * MIB, spare=32 * MIB)
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    # device-mapper loads the module by itself, and the daemon listens from then on
    assert vm.run("grep -q '^dm_remap ' /proc/modules", check=False).code != 0
    device = remap.activate(vm, main, spare)
    server.disk("main").bad(800, 8, kind="write")
    vm.run(WRITE.format(device, 100))
    told = wait_for_entry(vm, DM_REMAP_EVENT="relocated")
    assert (told["DM_REMAP_NAME"], told["DM_REMAP_SECTOR"]) == (remap.NAME, "800")
    assert told["DM_REMAP_CAUSE"] == "write-error" and told["DM_REMAP_ERROR"] == "I/O error"
    explained = vm.text("journalctl -q -x -u dm-remapd DM_REMAP_EVENT=relocated")
    assert "One such sector is no cause for alarm" in explained

    before = None
    status = remap.status(vm)
    while before != status:    # the daemon saves after an event
        before = status
        shown, = json.loads(vm.text("dmremap status --json"))["devices"]
        status = remap.status(vm)
    assert (shown["used_slots"], shown["mode"]) == (status.used, status.mode)
    for key, value in status.values.items():
        assert shown[key] == {"none": None, "ok": True}.get(value, value), key

    # when it starts it activates what is here: that it is active already is no failure
    vm.run("rm /run/dm-remapd/* && systemctl restart dm-remapd")
    packages.wait(vm, "journalctl -q -u dm-remapd --since=-1min | grep -q .", "the daemon's start")
    time.sleep(3)
    assert "Failed with result" not in vm.text("journalctl -q --no-pager")

    # killed: systemd starts it again, and the device did not notice
    vm.run("systemctl kill -s KILL dm-remapd; for i in $(seq 100); do "
           "[ \"$(systemctl show -P NRestarts dm-remapd)\" = 1 ] && "
           "systemctl -q is-active dm-remapd && exit; sleep 0.2; done; exit 1")
    saves = remap.status(vm).values["saves_ok"]
    server.disk("main").bad(1600, 8, kind="write")
    vm.run(WRITE.format(device, 200))
    wait_for_entry(vm, DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="1600")

    # stopped: the counters are saved, and bad sectors go on being remapped. Some seconds after an
    # event they are saved anyway: not while this looks.
    packages.wait(vm, f"! dmsetup status {remap.NAME} | grep -q ' saves_ok={saves} '",
                  "the save that follows an event")
    saves = remap.status(vm).values["saves_ok"]
    vm.run("systemctl stop dm-remapd")
    assert remap.status(vm).values["saves_ok"] == saves + 1
    server.disk("main").bad(2400, 8, kind="write")
    vm.run(WRITE.format(device, 300))
    after = remap.status(vm)
    assert after.mode == "rw" and after.values["relocations"] == 3
    assert vm.text("systemctl show -P Result dm-remapd").strip() == "success"


HOOK = r"""#!/bin/bash
exec >>/run/hook-told
echo "$DM_REMAP_ALERT $DM_REMAP_NAME $DM_REMAP_VERDICT"
grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status
cat /proc/self/cgroup
echo x >/var/lib/hook-wrote
(exec 3<>/dev/tcp/127.0.0.1/9) 2>&1 | grep -om1 'Connection refused'
setsid sleep 5000 </dev/null >/dev/null 2>&1 &
"""


def test_hooks_are_not_in_the_daemons_cage(vm: Machine, serve: StartServer) -> None:
    """They run in a unit of their own, which ends with all that they started."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    vm.put(HOOK.encode(), "/etc/dm-remap/hooks.d/note")
    vm.run("chmod 755 /etc/dm-remap/hooks.d/note")
    said = vm.text("dm-remapd --test-alert")
    assert "ok note" in said and "skipped README" in said
    device = remap.activate(vm, main, spare)
    server.disk("main").bad(800, 8, kind="write")
    vm.run(WRITE.format(device, 100))
    packages.wait(vm, f"grep -q '^news {remap.NAME} watch$' /run/hook-told && "
                      "tail -n 1 /run/hook-told | grep -q refused", "the hook to be run")
    told = vm.text("cat /run/hook-told")
    assert told.startswith("test  unknown\n")
    assert told.count("NoNewPrivs:\t0") == told.count("Seccomp:\t0") == told.count("news ") + 1
    assert told.count("Connection refused") == told.count("news ") + 1
    assert "dm-remapd.service" not in told and "/run-" in told
    packages.wait(vm, "! pgrep -f '[s]leep 5000'", "what the hook left to be gone")
    vm.run("test -s /var/lib/hook-wrote && systemctl -q is-active dm-remapd")
    assert vm.text("systemctl --failed --no-legend") == ""
    # the examples are there, and all but mail work without settings
    vm.run("rm /etc/dm-remap/hooks.d/note && "
           "ln -s /usr/share/dm-remap/hooks/wall /etc/dm-remap/hooks.d/")
    assert "ok wall" in vm.text("dm-remapd --test-alert")


# What runs it does so with what the daemon may do, and no more.
AS_THE_DAEMON = ("systemd-run -q --wait --pipe -p NoNewPrivileges=yes -p DevicePolicy=closed "
                 "-p 'DeviceAllow=/dev/kmsg r' -p CapabilityBoundingSet='{}' "
                 "sh -c 'exec </dev/kmsg'")


@pytest.mark.each_debian
def test_little_is_allowed_to_it(vm: Machine) -> None:
    """As each release's systemd counts; and what it reads of the kernel's log, each kernel lets
    it read."""
    said = vm.run(f"{exposure.COMMAND} dm-remapd", check=False)
    assert said.code == 0 and "Overall exposure level" in said.out, said.out
    counted = vm.text(f"{exposure.COMMAND} --json=short dm-remapd")
    assert exposure.unexplained(counted, exposure.UNIT.read_text()) == []
    vm.run("sysctl -q kernel.dmesg_restrict=1")
    allowed = vm.text("systemctl show -P CapabilityBoundingSet dm-remapd")
    assert "cap_syslog" in allowed
    vm.run(AS_THE_DAEMON.format(allowed))
    assert vm.run(AS_THE_DAEMON.format("CAP_NET_ADMIN"), check=False).code


UP = ("for i in $(seq 300); do systemctl -q is-active dm-remapd && "
      "[ \"$(systemctl show -P NRestarts dm-remapd)\" -ge {} ] && exit; sleep 0.2; done; exit 1")


@pytest.mark.slow
def test_killed_often_and_hung(vm: Machine, serve: StartServer) -> None:
    """However often it dies, it is started again; the watchdog finds one that hangs."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    device = remap.activate(vm, main, spare)
    vm.run("mkdir -p /run/systemd/system/dm-remapd.service.d && printf "
           "'[Service]\\nRestartSec=100ms\\nWatchdogSec=4s\\n' "
           ">/run/systemd/system/dm-remapd.service.d/fast.conf && systemctl daemon-reload && "
           "systemctl restart dm-remapd")
    for number in range(1, 8):    # systemd gives up after five in ten seconds if it is let
        vm.run(f"systemctl kill -s KILL dm-remapd; {UP.format(number)}")
    vm.run(f"systemctl kill -s STOP dm-remapd; {UP.format(8)}")
    server.disk("main").bad(800, 8, kind="write")
    vm.run(WRITE.format(device, 100))
    wait_for_entry(vm, DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="800")


def test_without_udevs_help(vm: Machine, serve: StartServer) -> None:
    """udev names members and starts nothing: the daemon activates, and puts in again."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    vm.run("sed '/RUN+=/d' /usr/lib/udev/rules.d/66-dm-remap.rules "
           ">/etc/udev/rules.d/66-dm-remap.rules && udevadm control --reload")
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    vm.run(f"mkfs.ext4 -q {main} && dmremap create data {main} {spare} --yes && "
           "dmremap deactivate data")
    for name in ("main", "spare"):
        vm.remove_disk(name)
    for name in ("spare", "main"):
        vm.add_disk(name, nbd=server.disk(name).socket_path)
    packages.wait(vm, "dmremap list | grep -q 'data .*active'", "the set to be active")
    vm.run("udevadm settle && mount /dev/mapper/data /mnt && echo kept >/mnt/file && sync && "
           "umount /mnt")
    vm.run("dmremap deactivate data && systemctl restart dm-remapd && sleep 8")
    assert [found["state"] for found in packages.sets(vm)] == ["ready"]
    vm.run("dmremap activate data")

    vm.remove_disk("main")
    vm.run("dd if=/dev/mapper/data of=/dev/null bs=4k count=1 skip=4000 iflag=direct", check=False)
    vm.add_disk("main", nbd=server.disk("main").socket_path)
    told = wait_for_entry(vm, DM_REMAP_EVENT="returned")
    assert told["DM_REMAP_NAME"] == "data"
    vm.run("mount /dev/mapper/data /mnt && grep -q kept /mnt/file && umount /mnt")
    assert vm.text("systemctl --failed --no-legend") == ""


FLOOD = """
import sys
sys.path.insert(0, "/run")
import dm
for number in range(16000):
    dm.message(sys.argv[1], "save")
"""


@pytest.mark.slow
def test_a_flood_of_events(vm: Machine, serve: StartServer) -> None:
    """More than the socket holds while the daemon stands still: it says so, looks, knows what
    it has not heard, and hears the next one."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    device = remap.activate(vm, main, spare)
    vm.run("mkdir -p /run/systemd/system/dm-remapd.service.d && printf "
           "'[Service]\\nWatchdogSec=0\\n' >/run/systemd/system/dm-remapd.service.d/still.conf "
           "&& systemctl daemon-reload && systemctl restart dm-remapd")
    wait_for_entry(vm, DM_REMAP_EVENT="found")
    vm.put(Path(dm.__file__), "/run/dm.py")
    vm.put(FLOOD.encode(), "/run/flood.py")
    vm.run("systemctl kill -s STOP dm-remapd")
    before = remap.status(vm).values["saves_ok"]
    vm.run(f"python3 /run/flood.py {remap.NAME}", 300)
    assert remap.status(vm).values["saves_ok"] == before + 16000
    server.disk("main").bad(800, 8, kind="write")
    vm.run(WRITE.format(device, 100))
    vm.run("systemctl kill -s CONT dm-remapd")
    told = wait_for_entry(vm, DM_REMAP_EVENT="caught-up")
    assert told["DM_REMAP_RELOCATIONS"] == "1"
    assert any("events were lost" in entry["MESSAGE"] for entry in packages.journal(vm))
    packages.wait(vm, "journalctl -q -u dm-remapd | grep 'more events .saved.* in 10 seconds$'")
    server.disk("main").bad(1600, 8, kind="write")
    vm.run(WRITE.format(device, 200))
    wait_for_entry(vm, DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="1600")
    assert vm.text("systemctl --failed --no-legend") == ""


REGION = 16384    # sectors
JOBS = 2


@pytest.mark.slow
def test_killed_under_an_event_storm(vm: Machine, serve: StartServer) -> None:
    """P9: sectors die by the hundred while the daemon is killed, stopped, let go on and started
    again at random. No sector is wrong, and what it tells in the end is what the kernel knows."""
    seed = time.time_ns() % 100000
    print(f"seed {seed}")
    choice = random.Random(seed)
    server = serve(main=64 * MIB, spare=32 * MIB)
    vm.run("mkdir -p /run/systemd/system/dm-remapd.service.d && printf "
           "'[Service]\\nRestartSec=100ms\\n' "
           ">/run/systemd/system/dm-remapd.service.d/fast.conf && systemctl daemon-reload")
    vm.put(Path(__file__).with_name("guest_io.py"), "/run/guest_io.py", 0o755)
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    vm.run(f"dmremap create data {main} {spare} --yes")
    jobs = [vm.start(f"taskset -c {i} /run/guest_io.py run /dev/mapper/data {i * REGION} {REGION} "
                     f"{i + 1} /run/stop >/run/model{i}") for i in range(JOBS)]
    dying = DyingDisk(server.disk("main"), seed, most=600)
    for _ in range(12):
        for _ in range(12):
            dying.disk.bad(choice.randrange(JOBS * REGION), choice.choice((1, 8, 24)), "write")
        vm.run(choice.choice((
            "systemctl kill -s KILL dm-remapd",
            "systemctl kill -s STOP dm-remapd; sleep 0.5; systemctl kill -s CONT dm-remapd",
            "systemctl kill -s STOP dm-remapd; sleep 0.3; systemctl kill -s KILL dm-remapd",
            "systemctl restart dm-remapd",
            "systemctl reload dm-remapd; systemctl kill -s KILL dm-remapd"))
            + f"; sleep {choice.uniform(0, 0.7):.2f}", check=False)
    vm.run("touch /run/stop")
    for i, job in enumerate(jobs):
        job.wait(300).check()
        vm.run(f"/run/guest_io.py check /dev/mapper/data {i * REGION} {REGION} {i + 1} "
               f"/run/model{i}", 600)
    shown, = json.loads(vm.text("dmremap status data --json"))["devices"]
    assert shown["relocations"] > 50 and (shown["mode"], shown["rejected"]) == ("rw", 0)
    packages.wait(vm, "systemctl -q is-active dm-remapd")

    # the one that is alive now hears, and knows what there is
    vm.run("systemctl restart dm-remapd")
    packages.wait(vm, "journalctl -q -u dm-remapd DM_REMAP_EVENT=found "
                      f"DM_REMAP_USED_SLOTS={shown['used_slots']} | grep -q .")
    server.disk("main").bad(2 * REGION + 800, 8, kind="write")
    vm.run(WRITE.format("/dev/mapper/data", (2 * REGION + 800) // 8))
    wait_for_entry(vm, DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR=str(2 * REGION + 800))
    assert vm.text("systemctl --failed --no-legend") == ""
