# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of another Debian release, from where this machine's apt gets its own.

Owns a private apt: sources, lists and state of its own in the cache, so that the
machine's stay as they are. The mirrors are those of the machine's apt, whatever
they are; nothing here names one. Callers: headers.py, debian_kernels.py, qemu_kernels.py.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from functools import cmp_to_key
from pathlib import Path

from tests.harness import cache

KEYRINGS = [Path("/usr/share/keyrings/debian-archive-keyring" + suffix)
            for suffix in (".pgp", ".gpg")]
LISTS_MAX_AGE_SECONDS = 24 * 3600


class AptError(Exception):
    """A package cannot be had; the text says why and what to do."""


def _output_of(*command: str, environment: dict[str, str] | None = None,
               cwd: Path | None = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd,
                            stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C",
                                                           **(environment or {})})
    complaints = [line for line in result.stderr.splitlines() if line.startswith("E:")]
    # apt-get update calls it a warning that a mirror did not answer.
    if "update" in command:
        complaints += [line for line in result.stderr.splitlines() if line.startswith("W: Failed")]
    if result.returncode or complaints:
        raise AptError(" ".join(complaints) or result.stderr.strip()
                       or f"{command[0]} failed with exit code {result.returncode}")
    return result.stdout


def machine_mirrors() -> dict[str, str]:
    """Where this machine gets Debian: {"": the archive, "security": …}, from its own apt."""
    targets = _output_of("apt-get", "indextargets", "--format", "$(ORIGIN)|$(RELEASE)|$(REPO_URI)",
                         "Created-By: Packages")
    mirrors: dict[str, str] = {}
    for line in targets.splitlines():
        origin, suite, mirror = line.split("|")
        if origin == "Debian":
            mirrors.setdefault(suite.partition("-")[2], mirror)
    if "" not in mirrors:
        raise AptError("apt knows no sources of Debian: run `apt-get update`; if that does not "
                       "help, /etc/apt/sources.list lacks them")
    return mirrors


def acquire_options() -> list[str]:
    """Proxies and the like that the machine's apt needs to reach its mirrors."""
    wanted = re.compile(r'^Acquire::(https?::|Check-|Retries)\S* "[^"]+";$')
    return [line for line in _output_of("apt-config", "dump").splitlines() if wanted.match(line)]


def _newer(one: str, other: str) -> int:
    for sign, relation in ((1, "gt"), (-1, "lt")):
        if not subprocess.run(["dpkg", "--compare-versions", one, relation, other]).returncode:
            return sign
    return 0


class Release:
    """The packages of Debian release NAME and of its parts ("security", "backports")."""

    def __init__(self, name: str, parts: list[str], architecture: str = "amd64") -> None:
        self.name, self.architecture = name, architecture
        self.parts = ["", *parts]
        mirrors = machine_mirrors()
        keyring = next((path for path in KEYRINGS if path.exists()), None)
        option = f"[arch={architecture}{f' signed-by={keyring}' if keyring else ''}] "
        self.sources = {
            part: f"deb {option}{mirrors.get(part, mirrors[''])} "
                  f"{name}{part and '-' + part} main\n"
            for part in self.parts}
        self.trouble = ""
        key = cache.key_of(Path(__file__), *self.sources.values())
        self.place = cache.entry(f"apt-{name}-{architecture}", key, self._fill)
        self._refresh()

    def _fill(self, place: Path) -> None:
        for path in ("lists/partial", "archives/partial", "preferences.d"):
            (place / path).mkdir(parents=True)
        (place / "status").touch()
        (place / "sources.list").write_text("".join(self.sources.values()))
        self.place = place
        self._update()
        if not any((place / "lists").glob("*_Packages*")):
            raise AptError(f"no packages of Debian {self.name} to be had: {self.trouble}")

    def _update(self) -> None:
        """Bring the lists up to date; a part that cannot be had is no reason to lack the others."""
        self.trouble = ""
        try:
            self._apt("apt-get", "-q", "update")
            (self.place / "updated").touch()
        except AptError as error:
            self.trouble = str(error)

    def _refresh(self) -> None:
        stamp = self.place / "updated"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > LISTS_MAX_AGE_SECONDS:
            self._update()
            if self.trouble:
                print(f"package lists of Debian {self.name} are not up to date: {self.trouble}",
                      file=sys.stderr)

    def _apt(self, *command: str, cwd: Path | None = None) -> str:
        settings = [
            # Neither the machine's settings nor its hooks: this is read before all others.
            'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";',
            f'Dir::Etc::sourcelist "{self.place}/sources.list"; Dir::Etc::sourceparts "/dev/null";',
            'Dir::Etc::preferences "/dev/null";',
            f'Dir::Etc::preferencesparts "{self.place}/preferences.d";',
            f'Dir::State "{self.place}"; Dir::State::status "{self.place}/status";',
            f'Dir::Cache "{self.place}";',
            f'APT::Architecture "{self.architecture}"; APT::Architectures "{self.architecture}";',
            'APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::GzipIndexes "true";',
            'Acquire::Retries "3";', *acquire_options()]
        with tempfile.NamedTemporaryFile("w", prefix="dm-remap-apt-") as configuration:
            configuration.write("\n".join(settings) + "\n")
            configuration.flush()
            return _output_of(*command, environment={"APT_CONFIG": configuration.name}, cwd=cwd)

    def versions(self, package: str) -> list[str]:
        """The versions of PACKAGE that are offered, newest first."""
        offered = {line.split("|")[1].strip()
                   for line in self._apt("apt-cache", "madison", package).splitlines()}
        return sorted(offered, key=cmp_to_key(_newer), reverse=True)

    def depends(self, package: str, version: str) -> list[str]:
        """The names of the packages that PACKAGE depends on, alternatives included."""
        shown = self._apt("apt-cache", "show", f"{package}={version}")
        fields = [line for line in shown.splitlines() if line.startswith("Depends: ")]
        if not fields:
            return []
        listed = re.split(r"[,|]", fields[0].removeprefix("Depends: "))
        return [item.split()[0] for item in listed]

    def download(self, place: Path, packages: list[str]) -> list[Path]:
        """Put the newest versions of PACKAGES into PLACE as .deb files."""
        self._apt("apt-get", "-q", "download", *packages, cwd=place)
        return sorted(place.glob("*.deb"))
