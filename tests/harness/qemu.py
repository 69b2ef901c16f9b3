# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine: its process, its commands, its disks that come and go.

Owns the QEMU process from start to end; it is killed at the latest when the
thread that started it ends. Machines are made by qemu_snapshot.py, used by
tests/vm and tests/demo:

    with qemu_snapshot.restored() as vm:
        main = vm.add_disk("main", nbd=server.socket("main"))
        vm.run(f"mkfs.ext4 {main}")
"""

import contextlib
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.harness.agent import Agent, AgentError, Command, Result
from tests.harness.qmp import Qmp, QmpError

BOOT_TIMEOUT_S = 180
COMMAND_TIMEOUT_S = 120
CONNECT_TIMEOUT_S = 60
LAST_LINES = 150    # of the console: with the stacks of some hung tasks

# The port for another device of a machine with PCI Express; machine "pc" needs none.
HOTPLUG_PORT = "port0"

# What a healthy kernel never says. (Of a timer that is late under a busy emulator, it says
# "MP-BIOS bug: 8254 timer not connected".)
COMPLAINT = re.compile(
    r"WARNING: |(?<!MP-BIOS )\bBUG: |Oops: |Call Trace:|general protection|refcount_t|kernel panic|"
    r"INFO: task .* blocked|INFO: rcu|list_(add|del) corruption|possible .* detected|"
    r"Slab .* leaked|objects remaining", re.IGNORECASE)


class MachineError(Exception):
    """The virtual machine failed; the text says how and what its console said last."""


def connections(work: Path) -> list[str]:
    """QEMU's arguments for monitor, agent and console, with their sockets in WORK."""
    return [
        "-qmp", f"unix:{work}/qmp,server=on,wait=off",
        "-chardev", f"socket,id=agent,path={work}/agent,server=on,wait=off",
        "-serial", f"file:{work}/console",
    ]


def disk_path(name: str) -> str:
    """Where the guest's udev puts the disk that was plugged in as NAME."""
    return f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{name}"


class Machine:
    """A running guest. ARGUMENTS is QEMU's command line without its connections."""

    def __init__(self, arguments: list[str], work: Path, incoming: str | None = None) -> None:
        self.work = work
        self.console = work / "console"
        self.complaints_from = 0
        self.has_port = any(f"id={HOTPLUG_PORT}," in word for word in arguments)
        command = arguments + connections(work)
        if incoming:
            command += ["-incoming", incoming]
        with open(work / "qemu.log", "w") as log:
            # setpriv becomes QEMU: the process id is QEMU's own.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.agent: Agent | None = None
        try:
            self.qmp = self._connect_monitor()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.kill()

    def _connect_monitor(self) -> Qmp:
        end = time.monotonic() + CONNECT_TIMEOUT_S
        while True:
            try:
                return Qmp(self.work / "qmp")
            except (FileNotFoundError, ConnectionRefusedError) as error:
                # Not there yet, or there and not listening yet.
                if self.process.poll() is not None:
                    log = (self.work / "qemu.log").read_text()
                    raise MachineError(f"QEMU ended at once:\n{log}") from error
                if time.monotonic() > end:
                    raise MachineError("QEMU does not answer on its monitor within "
                                       f"{CONNECT_TIMEOUT_S} s") from error
                time.sleep(0.01)

    def connect_agent(self, timeout_s: float) -> None:
        self.agent = Agent(self.work / "agent")
        try:
            self.agent.set_time(timeout_s)
        except AgentError as error:
            raise MachineError(f"{error}; {self.last_words()}") from error

    def last_words(self) -> str:
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        tail = "\n".join(text.splitlines()[-LAST_LINES:])
        return f"the end of its console:\n{tail}" if tail else "its console is empty"

    def kill(self) -> None:
        """End QEMU at once. To the guest's disks this is a pulled cable of the machine."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.agent:
            self.agent.close()
            self.agent = None
        if hasattr(self, "qmp"):
            self.qmp.close()

    # Commands

    def start(self, script: str) -> Command:
        """Start a shell script in the guest; wait() for it later."""
        if not self.agent:
            raise MachineError("the virtual machine is not running")
        return Command(self.agent, script)

    def run(self, script: str, timeout_s: float = COMMAND_TIMEOUT_S,
            check: bool = True) -> Result:
        """Run a shell script in the guest; an exit code that is not 0 raises CommandFailed."""
        try:
            result = self.start(script).wait(timeout_s)
        except AgentError as error:
            raise MachineError(f"{error}; {self.last_words()}") from error
        return result.check() if check else result

    def text(self, script: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        return self.run(script, timeout_s).out.strip()

    def put(self, source: Path | bytes, target: str, mode: int = 0o644) -> None:
        data = source if isinstance(source, bytes) else source.read_bytes()
        assert self.agent
        code, _, err = self.agent.send("put", data, path=target, mode=mode).wait(
            COMMAND_TIMEOUT_S)
        if code:
            raise MachineError(f"cannot write {target} in the guest: {err.decode()}")

    def get(self, source: str) -> bytes:
        assert self.agent
        code, out, err = self.agent.send("get", path=source).wait(COMMAND_TIMEOUT_S)
        if code:
            raise MachineError(f"cannot read {source} in the guest: {err.decode()}")
        return out

    def load_module(self, module: Path) -> None:
        self.put(module, "/run/dm-remap.ko")
        self.run("modprobe dm-mod; insmod /run/dm-remap.ko")

    # Disks

    def add_disk(self, name: str, *, nbd: Path | None = None, file: Path | None = None,
                 **properties: Any) -> str:
        """Plug in a SCSI disk as plug() does, and return its path once udev has it."""
        self.plug(name, nbd=nbd, file=file, **properties)
        return self._wait_for_disk(name, disk_path(name))

    def add_virtio_disk(self, name: str, nbd: Path) -> str:
        """Plug in a virtio-blk disk: there the kernel retries nothing, while on a SCSI disk a
        second flush hides the error of the first."""
        self._add_node(name, nbd, None)
        where = {"bus": HOTPLUG_PORT} if self.has_port else {}
        self.qmp.execute("device_add", driver="virtio-blk-pci", id=f"disk-{name}",
                         drive=f"node-{name}", serial=name, write_cache="on",
                         werror="report", rerror="report", **where)
        return self._wait_for_disk(name, f"/dev/disk/by-id/virtio-{name}")

    def _wait_for_disk(self, name: str, path: str) -> str:
        self.run(f"for i in $(seq 600); do [ -b {path} ] && udevadm settle && exit 0; "
                 f"sleep 0.05; done; echo disk {name} does not appear >&2; exit 1")
        return path

    def plug(self, name: str, *, nbd: Path | None = None, file: Path | None = None,
             **properties: Any) -> None:
        """Plug in a SCSI disk; the guest may not be running yet.

        NBD is the socket of a block server whose export has the disk's name;
        FILE a raw image. PROPERTIES go to QEMU's scsi-hd.
        """
        self._add_node(name, nbd, file)
        self.qmp.execute("device_add", driver="scsi-hd", bus="scsi.0", id=f"disk-{name}",
                         drive=f"node-{name}", serial=name, write_cache="on",
                         werror="report", rerror="report", **{"dpofua": True, **properties})

    def _add_node(self, name: str, nbd: Path | None, file: Path | None) -> None:
        below: dict[str, Any]
        if nbd:
            below = {"driver": "nbd", "server": {"type": "unix", "path": str(nbd)},
                     "export": name}
        else:
            below = {"driver": "file", "filename": str(file)}
        self.qmp.execute("blockdev-add", node_name=f"node-{name}", driver="raw", file=below,
                         discard="unmap")

    def remove_disk(self, name: str) -> None:
        """Pull a disk out; returns when the guest has let go of it."""
        self.qmp.execute("device_del", id=f"disk-{name}")
        self.qmp.wait_event("DEVICE_DELETED", device=f"disk-{name}")
        self.qmp.execute("blockdev-del", node_name=f"node-{name}")

    # The kernel's opinion

    def dmesg(self) -> str:
        return self.run("dmesg --notime").out

    def complaints(self) -> list[str]:
        """Lines of the kernel's log since the start that no healthy kernel writes."""
        return [line for line in self.dmesg().splitlines() if COMPLAINT.search(line)]


@contextlib.contextmanager
def work_dir() -> Iterator[Path]:
    """A directory for one machine's sockets and disks, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="dm-remap-vm-") as name:
        yield Path(name)


def quoted(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)


__all__ = ["Machine", "MachineError", "QmpError", "work_dir", "quoted"]
