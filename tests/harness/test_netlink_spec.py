# SPDX-License-Identifier: GPL-2.0-or-later
"""dm_remap.yaml says what common/dm_remap.h says: names, numbers, types."""

import re
import subprocess
from pathlib import Path

import pytest

COMMON = Path(__file__).resolve().parents[2] / "common"
COUNTERS = (COMMON / "dm_remap_counters.h").read_text()
HEADER = re.sub(r'(?:#define .*\n)+#include "dm_remap_counters.h"\n', lambda _: "".join(
    f"\tDM_REMAP_A_{row},\n" for row in re.findall(r"^[A-Z_]+\(([A-Z_]+)", COUNTERS, re.M)),
    (COMMON / "dm_remap.h").read_text())
SPEC = subprocess.run(["awk", "-f", COMMON / "expand.awk", COMMON / "dm_remap_counters.h",
                       COMMON / "dm_remap.h", COMMON / "dm_remap.yaml.in"],
                      capture_output=True, text=True, check=True).stdout


def in_header(enum: str, prefix: str) -> list[str]:
    """Names behind the zero of an enum of the header, in order; they must count up from 1."""
    body = re.search(rf"enum {enum} \{{(.*?)\n\}};", HEADER, re.S)
    assert body
    found = re.findall(rf"\b{prefix}(\w+)(?: = (\d+))?,", body[1].split("/* private")[0])
    names = [name for name, _ in found if name != "UNSPEC"]
    values = [int(value) for _, value in found if value]
    assert not values or values == list(range(1, len(names) + 1))
    return [name.lower().replace("_", "-") for name in names]


@pytest.mark.parametrize("name", ["event", "operation", "member", "reason"])
def test_enums(name: str) -> None:
    block = re.search(rf"    name: {name}\n    type: enum\n(?:    \S.*\n)*?    entries:\n"
                      r"((?:      - .*\n)+)", SPEC)
    assert block
    assert re.findall(r"- (\S+)", block[1]) == \
        in_header(f"dm_remap_{name}", f"DM_REMAP_{name.upper()}_")


def test_attributes() -> None:
    section = SPEC.split("attribute-sets:")[1].split("operations:")[0]
    found = re.findall(r"[ {]name: (\S+?),?\s+type: (\S+)", section)
    assert [name for name, _ in found] == in_header("dm_remap_attr", "DM_REMAP_A_")
    for name, kind in found:
        row = name.upper().replace("-", "_")
        if re.search(rf"^[A-Z_]+\({row}\b", COUNTERS, re.M):
            assert kind == "u64"
            continue
        said = re.search(rf"@DM_REMAP_A_{row}: (\S+?):?\s", HEADER)
        assert said
        wanted = {"16": "binary", "padding": "pad"}.get(said[1], said[1])
        assert kind == wanted, name


def test_operations() -> None:
    section = SPEC.split("operations:")[1].split("mcast-groups:")[0]
    found = re.findall(r"      name: (\S+)\n      value: (\d+)", section)
    assert [name for name, _ in found] == in_header("dm_remap_cmd", "DM_REMAP_CMD_")
    assert [int(value) for _, value in found] == list(range(1, len(found) + 1))
    known = set(re.findall(r"[ {]name: (\S+?),?\s+type:", SPEC))
    assert set(re.findall(r"            ?- (\S+)", section)) <= known
