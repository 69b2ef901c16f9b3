# SPDX-License-Identifier: GPL-2.0-or-later
"""What dm-remap(7) tells to type, as it stands there: tests run it line by line.

Only names of devices are others, and what would be asked on a terminal is answered by --yes.
"""

import re

from tests.harness.agent import Result
from tests.harness.kernels import PROJECT
from tests.harness.qemu import Machine

MANUAL = PROJECT / "packaging" / "man" / "dm-remap.7"


def blocks(section: str) -> list[list[str]]:
    """The commands of each block in a section, or subsection, without the prompt."""
    text = re.split(r"^\.S[hs] ", MANUAL.read_text(), flags=re.MULTILINE)
    found, = (part for part in text if part.split("\n", 1)[0] == section)
    literal = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", found, re.MULTILINE | re.DOTALL)
    return [[line.removeprefix("# ") for line in block.splitlines()] for block in literal]


def type_in(vm: Machine, commands: list[str], devices: dict[str, str]) -> list[Result]:
    """Each must succeed. DEVICES: what the manual's are here."""
    results = []
    for command in commands:
        for name, path in devices.items():
            command = re.sub(rf"{name}\b", path, command)
        assert "/dev/sd" not in command.replace("/dev/mapper", ""), command
        if command.startswith("dmremap ") and not command.startswith("dmremap doctor"):
            command += " --yes"
        results.append(vm.run(command, 300))
    return results
