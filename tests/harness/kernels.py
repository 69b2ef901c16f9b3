# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels for User Mode Linux, and the module built against them.

Owns the recipe of each kernel (which fragments of tests/kernel-configs make it)
and build/<kernel>/, the place where dm-remap.ko for it is built from a copy of
kmod/ and common/. Callers: uml.py, run, developers.

    python3 -m tests.harness.kernels uml|uml-kasan [--module]

prints the kernel's directory (or, with --module, the path of dm-remap.ko).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness import cache

PROJECT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT / "tests" / "kernel-configs"
BUILD = PROJECT / "build"
INJECT = PROJECT / "tests" / "scenarios" / "inject"
BUILD_SCRIPT = Path(__file__).with_name("build-kernel.sh")

PLAIN = ["base", "um", "scenarios"]
FRAGMENTS = {
    "uml": PLAIN,
    "uml-kasan": [*PLAIN, "debug-common", "kasan", "um-kasan"],
    "uml-peers": [*PLAIN, "peers"],
}


class BuildError(Exception):
    """A kernel or module could not be built; the text says why and what to do."""


def source_tarball() -> Path:
    """The newest of the distribution's linux-source packages on this machine."""
    found = list(Path("/usr/src").glob("linux-source-*.tar.xz"))
    if not found:
        raise BuildError("no /usr/src/linux-source-*.tar.xz: run `tests/setup check` as root")
    return max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])


def _output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _source_version(tarball: Path) -> str:
    package = tarball.name.removesuffix(".tar.xz")
    return _output_of("dpkg-query", "-W", "-f", "${Package} ${Version}", package)


def kernel_dir(name: str) -> Path:
    """Directory with vmlinux and the build tree of kernel NAME, built if need be."""
    tarball = source_tarball()
    fragments = [CONFIGS / f"{part}.config" for part in FRAGMENTS[name]]
    compiler = _output_of("gcc", "--version").splitlines()[0]
    key = cache.key_of(_source_version(tarball), compiler, BUILD_SCRIPT, *fragments)

    def build(place: Path) -> None:
        print(f"building kernel {name} from {tarball.name}: 11 to 25 CPU-minutes, once",
              file=sys.stderr, flush=True)
        log = cache.cache_root() / f"build-{name}.log"
        command = [str(BUILD_SCRIPT), str(tarball), str(place), *map(str, fragments)]
        with open(log, "w") as sink:
            result = subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT,
                                    stdin=subprocess.DEVNULL)
        if result.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise BuildError(f"kernel {name} does not build; see {log}, which ends:\n{tail}")

    return cache.entry(name, key, build)


def mirror_sources(destination: Path) -> None:
    """Bring DESTINATION's copy of kmod/ and common/ up to date, touching only what differs."""
    for part in ("kmod", "common"):
        source = PROJECT / part
        if not source.is_dir():
            raise BuildError(f"{source} is missing: nothing to build")
        wanted = {p.relative_to(source) for p in source.rglob("*")
                  if p.is_file() and (p.suffix in (".c", ".h", ".S")
                                      or p.name in ("Makefile", "Kbuild"))}
        target = destination / part
        for path in wanted:
            content = (source / path).read_bytes()
            copy = target / path
            if not copy.is_file() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
        for copy in target.rglob("*.[ch]"):
            generated = copy.name.endswith(".mod.c")
            if not generated and copy.relative_to(target) not in wanted:
                copy.unlink()


def _build_module(kernel: Path, place: Path, options: list[str]) -> Path:
    stamp = place / "built-for"
    made_with = " ".join([kernel.name, *options])
    if place.exists() and not (stamp.is_file() and stamp.read_text() == made_with):
        shutil.rmtree(place)
    mirror_sources(place)
    stamp.write_text(made_with)
    command = ["make", "-C", str(place / "kmod"), f"KDIR={kernel}",
               f"-j{os.cpu_count() or 1}", *options]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    module = place / "kmod" / "dm-remap.ko"
    if result.returncode or not module.is_file():
        raise BuildError(f"dm-remap.ko does not build for {kernel.name}:\n"
                         f"{result.stdout}{result.stderr}")
    return module


def build_module(name: str, destination: Path | None = None, counted: bool = False) -> Path:
    """dm-remap.ko for kernel NAME, from the sources as they are now.

    DESTINATION is a directory to copy it to, out of the way of the next build. COUNTED: it counts
    how often each of its lines runs (gcov).
    """
    kernel = kernel_dir(name)
    place = BUILD / (f"{name}-gcov" if counted else name)
    with cache.locked(place.with_name(f".{place.name}.lock")):
        module = _build_module(kernel, place, ["ARCH=um", *(["GCOV_PROFILE=y"] if counted else [])])
        if destination:
            module = Path(shutil.copy2(module, destination))
    return module


def build_inject(name: str, destination: Path) -> Path:
    """dm-inject.ko of the scenarios for kernel NAME, copied to DESTINATION."""
    kernel = kernel_dir(name)
    place = BUILD / f"{name}-inject"
    with cache.locked(BUILD / f".{name}-inject.lock"):
        module, stamp = place / "dm-inject.ko", place / "built-for"
        sources = {path.name: path.read_bytes() for path in INJECT.iterdir() if path.is_file()}
        made_from = cache.key_of(kernel.name, *sources.values())
        if not (module.is_file() and stamp.is_file() and stamp.read_text() == made_from):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            for source, content in sources.items():
                (place / source).write_bytes(content)
            result = subprocess.run(["make", "-C", str(place), f"KDIR={kernel}", "ARCH=um"],
                                    capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if result.returncode:
                raise BuildError(f"dm-inject.ko does not build for {kernel.name}:\n"
                                 f"{result.stdout}{result.stderr}")
            stamp.write_text(made_from)
        return Path(shutil.copy2(module, destination))


def check_module(kernel: Path, label: str, options: list[str]) -> None:
    """Build the module from nothing with OPTIONS (W=1, C=2...); BuildError if that fails."""
    with cache.locked(BUILD / f".{label}.lock"):
        place = BUILD / label
        shutil.rmtree(place, ignore_errors=True)    # what is up to date shows no warnings
        _build_module(kernel, place, options)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.harness.kernels")
    parser.add_argument("kernel", choices=FRAGMENTS)
    parser.add_argument("--module", action="store_true", help="build dm-remap.ko too")
    options = parser.parse_args()
    try:
        print((build_module if options.module else kernel_dir)(options.kernel))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
