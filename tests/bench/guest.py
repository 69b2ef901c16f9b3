# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests in which `make bench` measures, and what is built for them.

Owns the choice of clock. A counting guest has one CPU and runs on QEMU's instruction clock: its
time stamp counter, and every clock of its kernel, go on by one nanosecond with each instruction,
and leap to the next timer while it idles. So its figures are those of the code, not of the
machine. A guest of two CPUs has the machine's clock. Callers: run.py and the parts it runs.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness import kernels, qemu_image, qemu_snapshot
from tests.harness.qemu import Machine, work_dir

HERE = Path(__file__).parent
PLACE = kernels.BUILD / "bench"
TARGETS = ("dm-floor", "dm-dying")
PROGRAMS = ("loop", "latency", "cost")
SCRIPTS = ("fill_spare.py", "linear_table.py")
BOOT_TIMEOUT_S = 600
COMMAND_TIMEOUT_S = 1800
MEMORY_MIB = 4096           # the disks keep what is written to them there
# null_blk's attributes of a disk that keeps what is written to it, and of one with a cache.
KEEPS, CACHED = "memory_backed=1 discard=1", "memory_backed=1 discard=1 cache_size=64"


class BenchError(Exception):
    """There are no figures, or they cannot be trusted; the text says why."""


@dataclass(frozen=True)
class Built:
    """What a guest gets: the module, the targets to compare with, the programs."""

    module: Path
    targets: list[Path]
    programs: list[Path]


def _make(*command: str | Path) -> None:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)
    if result.returncode:
        raise BenchError(f"{command[0]} failed:\n{result.stdout}{result.stderr}")


def _mirror_targets(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for source in (HERE / "targets").iterdir():
        copy = place / source.name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.write_bytes(source.read_bytes())


def build() -> Built:
    """All of it from the sources as they are now, for the guest's kernel."""
    release = qemu_image.kernel_release()
    place = PLACE / release
    kernels.mirror_sources(place)
    _mirror_targets(place / "targets")
    for part in ("kmod", "targets"):
        _make("make", f"-j{os.cpu_count() or 1}", "-C", place / part,
              f"KDIR=/lib/modules/{release}/build", "CONFIG_DEBUG_INFO_BTF_MODULES=")
    for name in PROGRAMS:
        _make("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
              "-o", place / name, HERE / f"{name}.c")
    return Built(place / "kmod" / "dm-remap.ko",
                 [place / "targets" / f"{name}.ko" for name in TARGETS],
                 [place / name for name in PROGRAMS])


@contextmanager
def _booted(changes: dict[str, str], more: list[str]) -> Iterator[Machine]:
    """The tests' guest, booted with other options, with all in place that measures."""
    built = build()
    image = qemu_image.image()
    with work_dir() as work:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.root),
                        "-F", "raw", str(work / "root.qcow2")], check=True)
        command = qemu_snapshot.arguments(image, work / "root.qcow2")
        for option, value in {**changes, "-m": str(MEMORY_MIB)}.items():
            command[command.index(option) + 1] = value
        with Machine([*command, *more], work) as vm:
            vm.connect_agent(BOOT_TIMEOUT_S)
            vm.run("systemctl is-system-running --wait", BOOT_TIMEOUT_S, check=False)
            _prepare(vm, built)
            yield vm
            if complaints := vm.complaints():
                raise BenchError("the guest's kernel complains:\n" + "\n".join(complaints))


def _prepare(vm: Machine, built: Built) -> None:
    vm.load_module(built.module)
    for target in built.targets:
        vm.put(target, f"/run/{target.name}")
        vm.run(f"insmod /run/{target.name}")
    for program in built.programs:
        vm.put(program, f"/run/{program.name}", 0o755)
    for script in SCRIPTS:
        vm.put(HERE / script, f"/run/{script}")
    vm.run("modprobe null_blk nr_devices=0; systemctl stop systemd-udevd "
           "systemd-udevd-control.socket systemd-udevd-kernel.socket")


@contextmanager
def counting() -> Iterator[Machine]:
    """A guest on the instruction clock."""
    changes = {"-accel": "tcg,thread=single", "-cpu": "max", "-smp": "1"}
    with _booted(changes, ["-icount", "shift=0,sleep=off"]) as vm:
        yield vm


@contextmanager
def two_cpus() -> Iterator[Machine]:
    """A guest whose two CPUs run side by side, by the machine's clock."""
    with _booted({"-smp": "2"}, []) as vm:
        yield vm


def add_null_blk(vm: Machine, name: str, mib: int, attributes: str = "") -> str:
    """A disk that answers at once; its path."""
    pairs = [f"size={mib}", "blocksize=512", "queue_mode=0", *attributes.split(), "power=1"]
    writes = " && ".join(f"echo {pair.split('=')[1]} >{pair.split('=')[0]}" for pair in pairs)
    vm.run(f"cd /sys/kernel/config/nullb && mkdir {name} && cd {name} && {writes}")
    return f"/dev/{name}"


def dmsetup(vm: Machine, words: str) -> str:
    """Its output; the end of the kernel's log explains a failure."""
    return vm.run(f"DM_DISABLE_UDEV=1 dmsetup {words} || {{ dmesg | tail -5 >&2; exit 1; }}",
                  COMMAND_TIMEOUT_S).out.strip()
