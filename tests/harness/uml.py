# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a pytest file or a script inside User Mode Linux, with dm-remap.ko loaded.

The guest's root is this machine's own file system, read-only; see uml_guest.py for
what happens in there. Needs no privileges. Any number can run side by side.
Callers: tests/run, the crash enumerator, developers:

    python3 -m tests.harness.uml [--kasan] [--no-module] [--disks KIND] [--one-of N] FILE
                                 [-k EXPRESSION] [ARGUMENT...]

FILE named test_*.py is run by pytest, other .py by Python, all else by bash. KIND of
disks: see disks.py; N: scenarios/sampled.py. Results
(output, junit.xml, console, dmesg) stay in build/uml-results/KERNEL/NAME/. The run
fails when the kernel complains (KASAN, lockdep, WARNING...), whatever the command says.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.harness import blockd, cache, children, disks, kernel_log, kernels

PROJECT = kernels.PROJECT
MEMORY_MIB = {"uml": 640, "uml-kasan": 1536, "uml-peers": 1024}
DISKS = 4       # of a rig, at most: what is there but not in use costs each look at all disks
ONE_OF_VARIABLE = "DM_REMAP_ONE_OF"
TIMEOUT_S = {"uml": 600.0, "uml-kasan": 1200.0, "uml-peers": 3600.0}


@dataclass(frozen=True)
class Outcome:
    """One run. FAILURE is None, or one sentence on what went wrong."""

    failure: str | None
    results: Path
    output: str

    @property
    def junit(self) -> Path:
        return self.results / "junit.xml"


def _command_for(files: list[Path], results: Path, arguments: list[str]) -> list[str]:
    file = files[0]
    if file.name.startswith("test_") and file.suffix == ".py":
        return ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-q", "-rs",
                f"--junitxml={results}/junit.xml", *map(str, files), *arguments]
    interpreter = "/usr/bin/python3" if file.suffix == ".py" else "/bin/bash"
    return [interpreter, str(file), *arguments]


def _write_init(results: Path, module: str, command: list[str], kind: str, one_of: int) -> Path:
    guest = PROJECT / "tests" / "harness" / "uml_guest.py"
    words = ["/usr/bin/python3", "-B", str(guest), str(PROJECT), str(results), module, *command]
    init = results / "init"
    init.write_text("#!/bin/sh\nexec </dev/null >/dev/tty1 2>&1\n"
                    f"export {disks.VARIABLE}={kind} {ONE_OF_VARIABLE}={one_of}\nexec "
                    + " ".join(map(shlex.quote, words)) + "\n")
    init.chmod(0o755)
    return init


def _memory_directory(fallback: str, memory_mib: int) -> str:
    """Where the guest's memory lives: a file that should never reach a disk."""
    if os.access("/dev/shm", os.W_OK):
        facts = os.statvfs("/dev/shm")
        room = facts.f_bavail * facts.f_frsize > memory_mib << 20
        if room and not facts.f_flag & os.ST_NOEXEC:    # it holds the guest's programs, too
            return "/dev/shm"
    return fallback


def _boot(kernel: str, results: Path, init: Path, timeout_s: float, echo: bool,
          words: list[str]) -> str | None:
    """Run the guest to its end; None, or why there was no proper end."""
    with tempfile.TemporaryDirectory(prefix="dm-remap-uml-") as scratch, \
            open(results / "output", "wb") as output, open(results / "console", "wb") as console:
        memory_mib = MEMORY_MIB[kernel]
        output_fd = os.dup(sys.stdout.fileno()) if echo else output.fileno()
        command = [str(kernels.kernel_dir(kernel) / "vmlinux"), f"mem={memory_mib}M",
                   "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}", "con=null",
                   "con0=null,fd:1", f"con1=null,fd:{output_fd}", "ssl=null",
                   f"uml_dir={scratch}/", "loglevel=8", "oops=panic", "panic=-1", "log_buf_len=4M",
                   # newer kernels would not mount what a rig has open
                   "bdev_allow_write_mounted=1",
                   "nbd.max_part=0", f"nbd.nbds_max={DISKS}", "loop.max_loop=2", *words]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": scratch,
                       "TMPDIR": _memory_directory(scratch, memory_mib)}
        guest = children.start(command, env=environment, stdout=console,
                               stderr=subprocess.STDOUT, pass_fds=[output_fd])
        try:
            guest.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return f"no end after {timeout_s:.0f} s"
        finally:
            children.end(guest)    # with what a panic leaves behind
            if echo:
                os.close(output_fd)
    return None


def _judge(results: Path, no_end: str | None) -> str | None:
    console = (results / "console").read_text(errors="replace")
    if found := kernel_log.complaints(console):
        return f"the kernel complains, see {results}/console: {found[0]}"
    ending = results / "exit"
    if no_end or not ending.is_file():
        tail = "\n".join(console.splitlines()[-15:])
        return f"the guest did not finish ({no_end or 'it died'}); its console ends:\n{tail}"
    outcome = ending.read_text()
    if outcome.lstrip("-").isdigit():
        return None if outcome == "0" else f"exit code {outcome}"
    return outcome


def run(what: Path | list[Path], arguments: list[str] | None = None, kernel: str = "uml",
        with_module: bool = True, name: str | None = None, timeout_s: float | None = None,
        echo: bool = False, kind: str = disks.PLAIN, counted: bool = False,
        words: list[str] | None = None, one_of: int = 1) -> Outcome:
    """Run a file, or some of pytest's, in a guest. NAME tells its results from others' of it,
    KIND is that of its disks (see disks.py). COUNTED: results/gcda tells which lines of the module
    ran (debugging kernel only). WORDS are added to the kernel's command line. ONE_OF so many
    states is tried where there are many (scenarios/sampled.py)."""
    files = [file.resolve() for file in (what if isinstance(what, list) else [what])]
    blockd.build()
    name = (name or files[0].stem) + (f"-{kind}" if kind != disks.PLAIN else "")
    results = PROJECT / "build" / "uml-results" / kernel / name
    with cache.locked(results.with_name(f".{results.name}.lock")):
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir(parents=True)
        module = str(kernels.build_module(kernel, results, counted)) if with_module else "-"
        if any(file.is_file() and "inject" in file.read_text() for file in files):
            kernels.build_inject(kernel, results)
        command = _command_for(files, results, arguments or [])
        init = _write_init(results, module, command, kind, one_of)
        no_end = _boot(kernel, results, init, timeout_s or TIMEOUT_S[kernel], echo, words or [])
        failure = _judge(results, no_end)
        output = (results / "output").read_text(errors="replace").replace("\r", "")
    return Outcome(failure, results, output)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.harness.uml")
    parser.add_argument("--kasan", action="store_true", help="the KASAN + lockdep kernel")
    parser.add_argument("--no-module", action="store_true", help="do not load dm-remap.ko")
    parser.add_argument("--timeout", type=float, help="seconds")
    parser.add_argument("--disks", choices=disks.KINDS, default=disks.PLAIN, help="their kind")
    parser.add_argument("--one-of", type=int, default=1, help="so many states one is tried")
    parser.add_argument("file", type=Path)
    options, arguments = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))    # not without its guest
    try:
        outcome = run(options.file, arguments, "uml-kasan" if options.kasan else "uml",
                      not options.no_module, timeout_s=options.timeout, echo=True,
                      kind=options.disks, one_of=options.one_of)
    except (kernels.BuildError, blockd.BlockServerError) as error:
        print(error, file=sys.stderr)
        return 1
    if outcome.failure:
        print(f"FAILED: {outcome.failure}\nresults are in {outcome.results}", file=sys.stderr)
    return 1 if outcome.failure else 0


if __name__ == "__main__":
    sys.exit(main())
