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

from tests.harness import blockd, kernels, qemu_dkms, qemu_image, qemu_snapshot
from tests.harness.agent import AgentError, CommandFailed
from tests.harness.qemu import Machine, MachineError
from tests.harness.qmp import QmpError
from tests.vm import packages, remap
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

    script = f"cp -a {remap.TREE} /mnt/copy && sync"
    say(dim(f"guest # {script}"))
    with DyingDisk(disk, seed=int(time.time())) as dying:
        copying = vm.start(script)
        while not copying.done:
            copied_kib = int(vm.text("du -sk /mnt/copy 2>/dev/null | cut -f1") or 0)
            show(str(copied_kib >> 10), dying.bad_places)
        copying.wait(1).check()
    progress.end()
    state = remap.status(vm)
    say(f"all {total_kib >> 10} MiB copied: {dying.bad_places} bad places, "
        f"{disk.stats()['errors']} commands failed, {state.used} chunks remapped")


def compare(vm: Machine, files: int) -> None:
    for place in ("/mnt/tree", "/mnt/copy"):
        remap.verify_tree(vm, place)
    ok(f"2 x {files} files read back from the disk: every checksum is correct")


def show_one_bad_sector(vm: Machine, device: str) -> None:
    """The same write, to the bare disk and through dm-remap."""
    lines = vm.text("dmesg --notime | grep -o 'write error at sector [0-9]*' || true").split("\n")
    numbers = [int(line.rsplit(" ", 1)[1]) for line in lines if line]
    if not numbers:
        raise StoryError("the kernel's log names no sector that was remapped")
    sector = numbers[-1]
    main = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_main"
    say("Look up one of the bad sectors, and write to it on the bare disk:")
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


def prepare() -> None:
    headline(2, "Build the packages")
    with timed("the Debian packages are built"):
        for path in packages.built().values():
            say(dim(f"{path.relative_to(kernels.PROJECT)}, {path.stat().st_size >> 10} KiB"))
    blockd.build()
    headline(3, "Make and boot a virtual machine")
    say("The image is made once, from this distribution's packages, and kept in the\n"
        "cache; the first time takes about four minutes.")
    with timed("the virtual machine has booted, and its state is saved"):
        image, _ = qemu_snapshot.snapshot()
        accelerator = qemu_snapshot.accelerator(image)[1].split(",")[0]
        say(dim(f"two CPUs, {'KVM' if accelerator == 'kvm' else 'emulated (KVM does not work)'}"))
    with timed(f"DKMS has built the module for Linux {image.kernel_release}"):
        qemu_dkms.installed(packages.built()["dm-remap-dkms"])


def adopt(vm: Machine, server: blockd.BlockServer) -> int:
    """A disk with files becomes a set, in place; how many files."""
    headline(4, "Install the packages, which start the daemon")
    ok(f"the guest runs Linux {vm.text('uname -r')}")
    packages.install(vm)
    guest(vm, "dkms status")
    guest(vm, "systemctl is-active dm-remapd")

    headline(5, "Attach a disk with files on it, and a spare")
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    guest(vm, "lsblk -o NAME,SIZE,TYPE,SERIAL --nodeps /dev/sd?")
    guest(vm, f"mkfs.ext4 -q -b 4096 -E nodiscard {main} && mount {main} /mnt && "
              f"cp -a {remap.TREE} /mnt/tree && umount /mnt")
    vm.run(f"echo UUID=$(blkid -s UUID -o value {main}) /mnt ext4 nofail 0 2 >>/etc/fstab && "
           "systemctl daemon-reload")
    files = int(vm.text(f"wc -l <{remap.TREE_SUMS}"))
    ok(f"the disk has {files} files, whose checksums are recorded, and a line in fstab by UUID")

    headline(6, "Make a set of the two disks; the files stay in place")
    guest(vm, f"dmremap create {remap.NAME} {main} {spare} --yes")
    guest(vm, "dmremap list")
    guest(vm, f"lsblk -n -o NAME,FSTYPE,MOUNTPOINTS {main}; wipefs {main}")
    ok("the raw disk no longer shows a file system: it cannot be mounted by mistake")
    packages.wait(vm, "mountpoint -q /mnt || mount /mnt")
    return files


def first_life(vm: Machine, server: blockd.BlockServer) -> tuple[int, int]:
    main = server.disk("main")
    files = adopt(vm, server)
    headline(7, "Copy more files, while sectors die")
    DyingDisk(main, seed=1).kill_some(DEAD_AT_FIRST, "write")
    say(f"{DEAD_AT_FIRST} places on the disk can no longer be written; more fail during the copy.")
    total_kib = int(vm.text(f"du -sk {remap.TREE} | cut -f1"))
    copy_while_sectors_die(vm, main, total_kib)
    state = remap.status(vm)
    if state.mode != "rw" or state.values["relocations"] == 0:
        raise StoryError(f"nothing was remapped, or remapping has stopped: {state.line}")
    ok("the copy has ended without an error")

    headline(8, "Show the status and the journal")
    guest(vm, f"dmremap status {remap.NAME}")
    guest(vm, f"dmremap show {remap.NAME} | head -5")
    packages.wait(vm, "journalctl -q -u dm-remapd DM_REMAP_EVENT=relocated | grep -q .")
    guest(vm, "journalctl -q -u dm-remapd -o cat DM_REMAP_EVENT=relocated | head -3")
    show_one_bad_sector(vm, remap.PATH)

    headline(9, "Read all files back and compare their checksums")
    compare(vm, files)
    unhurt(vm)

    headline(10, "Cut the power")
    say("The power fails while more files are copied without a sync. Each disk loses a\n"
        "random half of the content of its volatile cache.")
    vm.run("sync")
    unflushed = remap.cut_power_while_copying(vm, "/mnt/not-synced", server, main,
                                              seed=int(time.time()))
    vm.kill()
    server.power_on()
    ok("the power was cut; unflushed sectors in the disks' caches: "
       + ", ".join(f"{name} {count}" for name, count in unflushed.items()))
    return files, state.used


def second_life(vm: Machine, server: blockd.BlockServer, files: int, used: int) -> None:
    with timed("the set was activated, and fstab mounted it"):
        packages.wait(vm, "mountpoint -q /mnt")
    guest(vm, "findmnt -n -o SOURCE,TARGET /mnt && dmremap list")
    state = remap.status(vm)
    if state.mode != "rw" or state.used < used:
        raise StoryError(f"{used} chunks were remapped before the power cut: {state.line}")
    ok(f"all {used} remaps from before the power cut are present, and {state.used - used} that "
       "were made after the last status")

    headline(12, "Read all files back again")
    compare(vm, files)
    unhurt(vm)
    ok("the kernel reports no defect")

    headline(13, "Unplug the disk, and plug it in again")
    guest(vm, "umount /mnt")
    main = server.disk("main")
    vm.remove_disk("main")
    bare = vm.run(f"dd if={remap.PATH} of=/dev/null bs=4k count=1 skip=9 iflag=direct", check=False)
    if not bare.code:
        raise StoryError("the disk is unplugged, and can still be read")
    guest(vm, f"dmsetup status {remap.NAME} | cut -d' ' -f4-5")
    ok("without the disk a read fails, and nothing is remapped")
    vm.add_disk("main", nbd=main.socket_path)
    packages.wait(vm, f"dd if={remap.PATH} of=/dev/null bs=4k count=1 skip=9 iflag=direct "
                      "status=none")
    guest(vm, "dmremap list")
    guest(vm, f"e2fsck -fn {remap.PATH} 2>/dev/null && mount /mnt")
    compare(vm, files)


def verdict(vm: Machine) -> None:
    headline(14, "What dm-remap says of the disk, and its map")
    if f"{remap.NAME}: good" in guest(vm, f"dmremap health {remap.NAME}"):
        raise StoryError("a disk that dies is said to be good")
    drawn = guest(vm, f"dmremap map {remap.NAME} --ascii --width 79")
    if not any(mark in line for line in drawn.splitlines() if "|" in line for mark in "-+*#"):
        raise StoryError("the map shows no remapped sector")
    ok("each mark is a part of the disk: where its sectors died, the spare serves them")


def tell() -> None:
    prepare()
    with tempfile.TemporaryDirectory(prefix="dm-remap-demo-") as place, \
            blockd.BlockServer(Path(place), {"main": (MAIN_BYTES, "vcache=on"),
                                             "spare": (SPARE_BYTES, "vcache=on")},
                               log=False) as server, \
            qemu_snapshot.restored() as vm:
        files, used = first_life(vm, server)

        def both(machine: Machine) -> None:
            for disk in server.disks():
                machine.plug(disk.name, nbd=disk.socket_path)

        headline(11, "Boot again, with the same bad disk")
        with qemu_snapshot.booted(vm.work / "root.qcow2", both) as second:
            second_life(second, server, files, used)
            verdict(second)
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
