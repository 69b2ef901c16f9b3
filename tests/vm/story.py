# SPDX-License-Identifier: GPL-2.0-or-later
"""The story that the demo tells, after tests/demo has installed what is needed.

Every line that is shown comes from what really happened; a step that fails ends
the story with what went wrong and exit code 1. Called by tests/demo only.
"""

import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness import blockd, kernels, qemu_image, qemu_module, qemu_snapshot
from tests.harness.agent import AgentError, CommandFailed
from tests.harness.qemu import Machine, MachineError
from tests.harness.qmp import QmpError
from tests.vm import remap
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
MAIN_BYTES = 400 * MIB
SPARE_BYTES = 32 * MIB
DEAD_AT_FIRST = 150

TTY = sys.stdout.isatty()
WIDTH = min(shutil.get_terminal_size((100, 0)).columns - 3, 110)


class StoryError(Exception):
    """Something that was promised did not happen."""


def _paint(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if TTY else text


def bold(text: str) -> str:
    return _paint("1", text)


def green(text: str) -> str:
    return _paint("32", text)


def red(text: str) -> str:
    return _paint("31", text)


def dim(text: str) -> str:
    return _paint("2", text)


def say(text: str = "") -> None:
    for line in text.splitlines() or [""]:
        folded = [line] if len(line) < WIDTH else textwrap.wrap(
            line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        for part in folded:
            print(f"   {part}".rstrip(), flush=True)


def headline(number: int, text: str) -> None:
    print(f"\n{bold(f'{number}. {text}')}", flush=True)


def ok(text: str) -> None:
    say(green("ok") + f"  {text}")


class Progress:
    """A line that is written over on a terminal, and now and then a new one elsewhere."""

    def __init__(self) -> None:
        self.shown_s = 0.0

    def show(self, text: str) -> None:
        if TTY:
            print(f"\r\033[K   {text[:WIDTH]}", end="", flush=True)
        elif time.monotonic() - self.shown_s > 5:
            say(text)
            self.shown_s = time.monotonic()

    def end(self) -> None:
        if TTY:
            print("\r\033[K", end="", flush=True)


@contextmanager
def timed(text: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    ok(f"{text} {dim(f'({time.monotonic() - begin:.0f} s)')}")


def guest(vm: Machine, script: str, timeout_s: float = 300) -> str:
    """Run a command in the guest, shown as it was typed, with what it printed."""
    say(dim(f"guest # {script}"))
    text = vm.text(script, timeout_s)
    if text:
        say(text)
    return text


def copy_while_sectors_die(vm: Machine, disk: blockd.Disk, total_kib: int) -> None:
    progress = Progress()

    def show(copied: str, bad_places: int) -> None:
        progress.show(f"{copied} of {total_kib >> 10} MiB copied, {bad_places} bad places, "
                      f"{disk.stats()['errors']} errors, "
                      f"{remap.status(vm).used} chunks remapped")

    script = f"cp -a {remap.TREE} /mnt/tree && sync"
    say(dim(f"guest # {script}"))
    with DyingDisk(disk, seed=int(time.time())) as dying:
        copying = vm.start(script)
        while not copying.done:
            copied_kib = int(vm.text("du -sk /mnt/tree 2>/dev/null | cut -f1") or 0)
            show(str(copied_kib >> 10), dying.bad_places)
        copying.wait(1).check()
    progress.end()
    state = remap.status(vm)
    say(f"all {total_kib >> 10} MiB copied: {dying.bad_places} bad places, "
        f"{disk.stats()['errors']} commands failed, {state.used} chunks remapped")


def compare(vm: Machine, files: int) -> None:
    remap.verify_tree(vm, "/mnt/tree")
    ok(f"{files} files read back from the disk, every checksum is right")


def show_one_bad_sector(vm: Machine, device: str) -> None:
    """The same write, to the bare disk and through dm-remap."""
    lines = vm.text("dmesg --notime | grep -o 'write error at sector [0-9]*' || true").split("\n")
    numbers = [int(line.rsplit(" ", 1)[1]) for line in lines if line]
    if not numbers:
        raise StoryError("the kernel's log names no sector that was remapped")
    sector = numbers[-1]
    main = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_main"
    say("One of the bad sectors, asked about, and written to on the bare disk:")
    guest(vm, f"dmsetup message {remap.NAME} 0 verify {sector}")
    vm.run(f"dd if={device} of=/run/sector bs=4k count=1 skip={sector // 8} status=none")
    script = f"dd if=/run/sector of={main} bs=4k seek={sector // 8} oflag=direct status=none"
    say(dim(f"guest # {script}"))
    bare = vm.run(script, check=False)
    say((bare.out + bare.err).strip())
    if not bare.code:
        raise StoryError(f"sector {sector} of the bare disk can be written: it is not bad")


def unhurt(vm: Machine) -> None:
    complaints = vm.complaints()
    if complaints:
        raise StoryError("the guest's kernel complains:\n" + "\n".join(complaints))


def prepare() -> Path:
    headline(2, "Build the module, for the kernel of this distribution")
    with timed("dm-remap.ko is built"):
        module = qemu_module.build()
        say(dim(f"{module.relative_to(kernels.PROJECT)}, {module.stat().st_size >> 10} KiB, "
                f"for Linux {qemu_image.kernel_release()}"))
    blockd.build()
    headline(3, "Make and boot a virtual machine")
    say("It is made once, from this distribution's packages, and kept in the cache:\n"
        "about three minutes the first time.")
    with timed("the virtual machine has booted and its state is kept"):
        image, _ = qemu_snapshot.snapshot()
        accelerator = qemu_snapshot.accelerator(image)[1].split(",")[0]
        say(dim(f"two CPUs, {'KVM' if accelerator == 'kvm' else 'emulated (KVM does not work)'}"))
    return module


def first_life(module: Path, server: blockd.BlockServer) -> tuple[int, int]:
    main = server.disk("main")
    with qemu_snapshot.restored() as vm:
        ok(f"the guest runs Linux {vm.text('uname -r')}")
        headline(4, "Plug in a disk and a spare, and put dm-remap across them")
        device = remap.plug_in(vm, module, server.disks())
        guest(vm, "lsblk -o NAME,SIZE,TYPE,SERIAL --nodeps /dev/sd?")
        guest(vm, f"dmsetup table {remap.NAME}")
        guest(vm, f"dmsetup status {remap.NAME}")
        DyingDisk(main, seed=1).kill_some(DEAD_AT_FIRST, "both")
        say(f"The disk is a bad one: {DEAD_AT_FIRST} places on it cannot be read or written.")

        headline(5, "Make a file system and copy files in, while sectors die")
        guest(vm, f"mkfs.ext4 -q -b 4096 -E nodiscard {device} && mount {device} /mnt")
        total_kib = int(vm.text(f"du -sk {remap.TREE} | cut -f1"))
        files = int(vm.text(f"wc -l <{remap.TREE_SUMS}"))
        say(f"{files} files, {total_kib >> 10} MiB, whose checksums are known.")
        copy_while_sectors_die(vm, main, total_kib)
        state = remap.status(vm)
        if state.mode != "rw" or state.values["relocations"] == 0:
            raise StoryError(f"nothing was remapped, or no more is: {state.line}")
        ok("the copy has ended without an error")

        headline(6, "What dm-remap says")
        guest(vm, f"dmsetup status {remap.NAME}")
        guest(vm, f"dmsetup message {remap.NAME} 0 metadata_status")
        guest(vm, "dmesg --notime | grep 'chunk remapped' | tail -3")
        show_one_bad_sector(vm, device)

        headline(7, "Are the files right?")
        compare(vm, files)
        unhurt(vm)

        headline(8, "Cut the power")
        say("More files are being copied and nothing syncs them. In the midst of it the power\n"
            "goes; each disk loses a random half of what is in its volatile cache.")
        unflushed = remap.cut_power_while_copying(vm, "/mnt/not-synced", server, main,
                                                  seed=int(time.time()))
        vm.kill()
    server.power_on()
    ok("the power was cut; unflushed sectors in the disks' caches: "
       + ", ".join(f"{name} {count}" for name, count in unflushed.items()))
    return files, state.used


def second_life(module: Path, server: blockd.BlockServer, files: int, used: int) -> None:
    headline(9, "Boot again, with the same bad disk")
    with qemu_snapshot.restored() as vm:
        device = remap.plug_in(vm, module, server.disks())
        guest(vm, f"dmsetup table {remap.NAME}")
        guest(vm, f"dmsetup status {remap.NAME}")
        state = remap.status(vm)
        if state.mode != "rw" or state.used < used:
            raise StoryError(f"{used} chunks were remapped before the power cut: {state.line}")
        ok(f"all {used} remaps of before are there, and {state.used - used} that were "
           "made after the last look")

        headline(10, "Are the files still right?")
        guest(vm, f"mount {device} /mnt")
        compare(vm, files)
        guest(vm, f"umount /mnt && e2fsck -fn {device} 2>/dev/null")
        ok("the file system is clean")
        unhurt(vm)
        ok("the kernel has nothing to complain about")


def tell() -> None:
    module = prepare()
    with tempfile.TemporaryDirectory(prefix="dm-remap-demo-") as place, \
            blockd.BlockServer(Path(place), {"main": (MAIN_BYTES, "vcache=on"),
                                             "spare": (SPARE_BYTES, "vcache=on")},
                               log=False) as server:
        files, used = first_life(module, server)
        second_life(module, server, files, used)
    print(f"\n{green(bold('Nothing was lost.'))}", flush=True)


def main() -> int:
    try:
        tell()
    except (StoryError, CommandFailed, AgentError, MachineError, QmpError, OSError,
            qemu_image.ImageError, kernels.BuildError, blockd.BlockServerError,
            subprocess.SubprocessError) as error:
        print(f"\n{red('The demo has failed at this step:')}\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{red('Interrupted.')} Nothing is left behind.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
