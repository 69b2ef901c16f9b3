# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command needs for many remaps: time, CPU and memory, beside reading the same bytes.

On the instruction clock, with disks that answer at once; a second is 10^9 instructions. Each
verb is measured at several numbers of remaps, so what is not linear, or collects what it could
stream, can be seen. Caller: run.py.
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from tests.bench.guest import KEEPS, BenchError, add_null_blk, dmsetup
from tests.harness import kernels
from tests.harness.qemu import Machine

MAIN_MIB, SPARE_MIB = 32768, 4352       # a spare of a million slots
NAME = "big"
COUNTS, QUICK_COUNTS = (10_000, 100_000, 1_000_000), (10_000,)
# Copying chunks is the kernel's work; for a million it takes half an hour.
MOST_COPIED = 100_000
STRIDE = 4                              # chunks from one remap to the next
OWN_SLOTS, FIRST_CHUNK = 64, 4096       # beyond what a new set remaps for itself
TIMEOUT_S = 3600
BACKUP, LIST = "/dev/shm/backup", "/dev/shm/list"
ENVIRONMENT = "DM_DISABLE_UDEV=1 STATE_DIRECTORY=/dev/shm/state"


def build() -> Any:
    """The command, for this machine's libraries: the guest has the same distribution."""
    result = subprocess.run(["make", "-s", "-j2", "-C", str(kernels.PROJECT / "daemon"),
                             str(kernels.BUILD / "dmremap")], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)
    if result.returncode:
        raise BenchError(f"the command does not build:\n{result.stdout}{result.stderr}")
    return kernels.BUILD / "dmremap"


class Userspace:
    """A guest with the command, and a set of any number of remaps."""

    def __init__(self, vm: Machine) -> None:
        self.vm = vm
        # The command looks at no null_blk: what is on one is what happened to be in memory.
        self.main = self._linear("main", add_null_blk(vm, "nullb20", MAIN_MIB, KEEPS), MAIN_MIB)
        self.spare = self._linear("spare", add_null_blk(vm, "nullb21", SPARE_MIB, KEEPS),
                                  SPARE_MIB)
        vm.put(build(), "/run/dmremap", 0o755)
        # udev has ended: by its socket the command would believe in its database.
        vm.run("mkdir -p /dev/shm/state; rm -f /run/udev/control")

    def _linear(self, name: str, disk: str, mib: int) -> str:
        dmsetup(self.vm, f"create {name} --table '0 {mib * 2048} linear {disk} 0'")
        return f"/dev/mapper/{name}"

    def cost(self, command: str) -> dict[str, Any]:
        """Of a command, whose output nobody looks at. If it fails, that is in the figures."""
        result = self.vm.run(f"{ENVIRONMENT} /run/cost /run/figures {command} >/dev/null",
                             TIMEOUT_S, check=False)
        figures: dict[str, Any] = json.loads(self.vm.text("cat /run/figures"))
        if figures.pop("code"):
            figures["error"] = result.err.strip()[-300:] or f"exit code {result.code}"
        return figures

    def dmremap(self, words: str) -> dict[str, Any]:
        return self.cost(f"/run/dmremap {words}")

    def must(self, words: str) -> None:
        """What the measurement stands on."""
        if error := self.dmremap(words).get("error"):
            raise BenchError(f"dmremap {words}: {error}")

    def create(self) -> None:
        self.vm.run(f"blkdiscard {self.main}; blkdiscard {self.spare}")
        self.must(f"create {NAME} {self.main} {self.spare} --yes")

    def fill(self, count: int) -> None:
        start = dmsetup(self.vm, f"table {NAME}").split()[5]
        self.must(f"deactivate {NAME}")
        self.vm.run(f"python3 /run/fill_spare.py {self.spare} {start} {count} {STRIDE} "
                    f"{OWN_SLOTS} {FIRST_CHUNK}", TIMEOUT_S)
        self.must(f"activate {self.spare}")

    def measure(self, count: int) -> dict[str, dict[str, Any]]:
        """Each verb, at COUNT remaps."""
        found = {}
        self.create()
        self.fill(count)
        table_kib = count * 16 * 4096 // (252 * 16) // 1024 * 2
        found["read"] = self.cost(f"dd if={self.spare} bs=1M count={table_kib // 1024 + 1} "
                                  "iflag=direct of=/dev/null status=none")
        for verb in ("show", "show --json", "map", "verify"):
            words = verb.split()
            found[verb] = self.dmremap(" ".join(
                [words[0], NAME, *words[1:], *(["4000"] if verb == "verify" else [])]))
        found["status"] = self.dmremap(f"status {NAME}")
        found["backup"] = self.dmremap(f"backup {NAME} {BACKUP}")
        self.must(f"deactivate {NAME}")
        for verb in ("check", "dump", "dump --json"):
            word, *options = verb.split()
            found[verb] = self.dmremap(" ".join([word, self.spare, *options]))
        found["dump --dm-table"] = self.dmremap(f"dump {self.spare} --dm-table={self.main}")
        found["restore-backup"] = self.dmremap(
            f"restore-backup {BACKUP} {self.spare} --older --yes")
        found["activate"] = self.dmremap(f"activate {self.spare}")
        if count <= MOST_COPIED:
            found["release"] = self.dmremap(f"release {NAME} --yes")
            found["import"] = self.import_list(count)
        else:
            self.must(f"deactivate {NAME}")
        self.vm.run(f"rm -f {BACKUP} {LIST}")
        return found

    def import_list(self, count: int) -> dict[str, Any]:
        """COUNT lines of badblocks, for a set without remaps, which goes away."""
        self.create()
        self.vm.run(f"seq {FIRST_CHUNK} {STRIDE} "
                    f"{FIRST_CHUNK + STRIDE * (count - 1)} >{LIST}")
        found = self.dmremap(f"import {NAME} {LIST} --block-size 4096 --yes")
        used = int(dmsetup(self.vm, f"status {NAME}").split()[4].split("/")[0])
        if used < count:
            raise BenchError(f"{used} slots are used after an import of {count} chunks")
        self.must(f"deactivate {NAME}")
        return found


def measure(vm: Machine, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    userspace, found = Userspace(vm), {}
    for count in QUICK_COUNTS if quick else COUNTS:
        say(f"the command, {count} remaps")
        found[str(count)] = userspace.measure(count)
    return found
