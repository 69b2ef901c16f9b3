# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the guest once and restores it from then on, in a few seconds each time.

Owns the choice of KVM or emulation, QEMU's command line and the snapshot (the
guest's memory and root disk, right after it has booted), which lives in the
cache. Without an IMAGE the functions use the machine's own kernel.
Callers: tests/vm, tests/demo, tests/kernels.

    python3 -m tests.harness.qemu_snapshot         make it, print its directory
"""

import contextlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.harness import cache, qemu_arm64, qemu_image
from tests.harness.qemu import (BOOT_TIMEOUT_S, HOTPLUG_PORT, Machine, MachineError,
                                connections, work_dir)

QEMU = "qemu-system-x86_64"
# no_timer_check: on a loaded host the emulated timer is late for the kernel's test of it.
KERNEL_COMMAND_LINE = (
    "root=/dev/vda rw quiet no_timer_check mitigations=off audit=0 apparmor=0 net.ifnames=0 "
    "ipv6.disable=1 init_on_alloc=0 watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 "
    "panic=-1 oops=panic systemd.show_status=no")
# Program, machine and the kernel's console for each architecture.
MACHINES = {"amd64": (QEMU, "pc", "ttyS0"), "arm64": (qemu_arm64.QEMU, "virt", "ttyAMA0")}
# What tests use is loaded before the snapshot is taken: a restored guest need not.
MODULES = ["dm-mod", "sd_mod", "virtio_scsi", "ext4", "xfs", "crc32c_intel"]
PROBE_TIMEOUT_S = 15


def boot_timeout(image: qemu_image.Image) -> float:
    """Seconds: another architecture is emulated more slowly."""
    return BOOT_TIMEOUT_S * (3 if image.architecture == "arm64" else 1)


def qemu_version() -> str:
    result = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[0]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line
    return "unknown"


def _kvm_boots(image: qemu_image.Image) -> bool:
    command = ["setpriv", "--pdeathsig", "KILL", "--", QEMU, "-accel", "kvm", "-cpu", "host",
               "-M", "pc", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none",
               "-no-reboot", "-serial", "stdio", "-kernel", str(image.kernel),
               "-initrd", str(image.initramfs), "-append",
               "console=ttyS0 quiet panic=-1 dm_remap_probe"]
    try:
        result = subprocess.run(command, capture_output=True, timeout=PROBE_TIMEOUT_S,
                                stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return b"dm-remap: guest boots" in result.stdout


def accelerator(image: qemu_image.Image) -> list[str]:
    """QEMU's arguments for KVM where a guest boots with it, else for emulation."""
    if image.architecture == "arm64":
        return ["-accel", "tcg,thread=multi", "-cpu", "neoverse-n1"]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "tcg,thread=multi", "-cpu", "max"]
    key = cache.key_of(qemu_version(), platform.release(), _cpu_model(), image.place.name)

    def probe(place: Path) -> None:
        (place / "works").write_text("yes" if _kvm_boots(image) else "no")

    if (cache.entry("kvm", key, probe) / "works").read_text() == "yes":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", "max"]


def arguments(image: qemu_image.Image, root_disk: Path, words: str = "") -> list[str]:
    """The command line; the same for the snapshot and for all that are restored from it.

    WORDS are added to the kernel's.
    """
    program, machine, console = MACHINES[image.architecture]
    port = ["-device", f"pcie-root-port,id={HOTPLUG_PORT},chassis=1"] if machine == "virt" else []
    return [
        program, "-name", "dm-remap", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-M", machine, *accelerator(image), "-smp", "2", "-m", "1024",
        "-kernel", str(image.kernel), "-initrd", str(image.initramfs),
        "-append", f"{KERNEL_COMMAND_LINE} console={console} {words}".rstrip(),
        "-blockdev", f"driver=file,node-name=root-file,filename={root_disk},cache.no-flush=on",
        "-blockdev", "driver=qcow2,node-name=root,file=root-file,cache.no-flush=on",
        "-device", "virtio-blk-pci,drive=root",
        "-device", "virtio-scsi-pci,id=scsi,num_queues=2",
        "-device", "virtio-serial-pci",
        "-device", "virtserialport,chardev=agent,name=dm-remap.agent", *port,
    ]


def _overlay(base: Path, base_format: str, overlay: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base),
                    "-F", base_format, str(overlay)], check=True)


def _wait_for_migration(machine: Machine, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        state = machine.qmp.execute("query-migrate").get("status")
        if state == "completed":
            return
        if state == "failed":
            raise MachineError("QEMU could not write the guest's memory")
        time.sleep(0.05)
    raise MachineError(f"the guest's memory was not written within {timeout_s:.0f} s")


def _keep(vm: Machine, place: Path) -> None:
    """Leave the guest's state in PLACE, where its root disk is; the guest has ended then.

    From here on the console has all that the kernel says: of a guest that hangs it is all
    there is."""
    vm.run("dmesg --clear; dmesg --console-level debug; sync; echo 3 >/proc/sys/vm/drop_caches")
    vm.qmp.execute("stop")
    vm.qmp.execute("migrate", uri=f"exec:cat >{place}/memory")
    _wait_for_migration(vm, 60)
    vm.qmp.execute("quit")
    vm.process.wait(30)


def _copy_modules(vm: Machine, image: qemu_image.Image) -> None:
    """Copy the modules of this kernel, which the root of another image lacks."""
    disk = vm.add_disk("modules", file=image.modules)
    vm.run(f"mount -o ro {disk} /mnt && cp -a /mnt/{image.kernel_release} /usr/lib/modules/ && "
           "umount /mnt && udevadm trigger --settle --action=add", boot_timeout(image))
    vm.remove_disk("modules")


def _take(image: qemu_image.Image, place: Path) -> None:
    """Boot the guest, wait until it is at rest, and leave its state in PLACE."""
    _overlay(image.root, "raw", place / "root.qcow2")
    with work_dir() as work, Machine(arguments(image, place / "root.qcow2"), work) as vm:
        vm.connect_agent(boot_timeout(image))
        state = vm.run("systemctl is-system-running --wait", boot_timeout(image), check=False)
        if state.out.strip() != "running":
            failed = vm.run("systemctl --failed --no-legend", check=False).out
            raise MachineError(f"the guest booted to '{state.out.strip()}':\n{failed}")
        if image.modules.exists():
            _copy_modules(vm, image)
        vm.run(f"modprobe -a {' '.join(MODULES)}; udevadm settle")
        if complaints := vm.complaints():
            raise MachineError("the guest's kernel complains at boot:\n" + "\n".join(complaints))
        _keep(vm, place)


def snapshot(image: qemu_image.Image | None = None) -> tuple[qemu_image.Image, Path]:
    """The image, and the directory of its snapshot; both made if need be."""
    image = image or qemu_image.image()
    key = cache.key_of(qemu_version(), *arguments(image, Path("root")),
                       *connections(Path("work")), _cpu_model(), Path(__file__))

    def build(place: Path) -> None:
        print("booting the guest and keeping its state: under a minute, once",
              file=sys.stderr, flush=True)
        try:
            _take(image, place)
        except MachineError as error:
            # emulated CPUs trip over code that a kernel patches at its boot, one time in many;
            # nothing of dm-remap runs yet
            print(f"{error}\nbooting it again", file=sys.stderr, flush=True)
            (place / "root.qcow2").unlink(missing_ok=True)
            _take(image, place)

    return image, cache.entry("snapshot", key, build)


@contextlib.contextmanager
def _resumed(image: qemu_image.Image, root_disk: Path, memory: Path, work: Path) -> \
        Iterator[Machine]:
    with Machine(arguments(image, root_disk), work, incoming=f"exec:cat {memory}") as vm:
        end = time.monotonic() + BOOT_TIMEOUT_S
        while vm.qmp.execute("query-status")["status"] == "inmigrate":
            if time.monotonic() > end:
                raise MachineError("QEMU did not finish reading the guest's memory")
            time.sleep(0.02)
        vm.qmp.execute("cont")
        vm.connect_agent(60)
        yield vm


@contextlib.contextmanager
def restored(place: Path | None = None, image: qemu_image.Image | None = None) \
        -> Iterator[Machine]:
    """A guest as it was right after booting, with none of the disks under test; or, with
    PLACE, as prepared() has left it there."""
    image, booted_place = snapshot(image)
    place = place or booted_place
    with work_dir() as work:
        _overlay(place / "root.qcow2", "qcow2", work / "root.qcow2")
        with _resumed(image, work / "root.qcow2", place / "memory", work) as vm:
            yield vm


def prepared(place: Path, prepare: Callable[[Machine], None],
             image: qemu_image.Image | None = None) -> Path:
    """A snapshot of a guest on which PREPARE was called; it is made in PLACE, and not cached."""
    image, booted_place = snapshot(image)
    _overlay(booted_place / "root.qcow2", "qcow2", place / "root.qcow2")
    with work_dir() as work, _resumed(image, place / "root.qcow2", booted_place / "memory",
                                      work) as vm:
        prepare(vm)
        _keep(vm, place)
    return place


@contextlib.contextmanager
def booted(root_disk: Path, plug: Callable[[Machine], None], words: str = "",
           image: qemu_image.Image | None = None) -> Iterator[Machine]:
    """A guest that boots from a root disk of one that was switched off, or of another IMAGE.

    PLUG puts disks in before its CPUs start; WORDS go to its kernel's command line.
    """
    image = image or qemu_image.image()
    with work_dir() as work, Machine([*arguments(image, root_disk, words), "-S"], work) as vm:
        plug(vm)
        vm.qmp.execute("cont")
        vm.connect_agent(boot_timeout(image))
        yield vm


def main() -> int:
    try:
        print(snapshot()[1])
    except (qemu_image.ImageError, MachineError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
