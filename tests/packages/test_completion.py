# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion in bash: names are data, whatever is in them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

# What bash-completion gives to a function.
LIBRARY = """
_init_completion() {
    cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
}
_filedir() { :; }
"""


def completed(place: Path, *words: str) -> list[str]:
    """What TAB offers behind WORDS, the last of which has begun."""
    result = subprocess.run(
        ["bash", "-c", f"{LIBRARY} source $0; COMP_WORDS=(dmremap \"$@\"); COMP_CWORD=$#; _dmremap; "
         "printf '%s\\n' \"${COMPREPLY[@]}\"", PROJECT / "packaging/bash-completion/dmremap", *words],
        env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}"}, capture_output=True, text=True,
        check=True)
    assert result.stderr == "", result
    return result.stdout.split("\n")[:-1]


@pytest.fixture(name="place")
def programs(tmp_path: Path) -> Path:
    """A mapped device whose name is a command, one with a blank, and two with plain names."""
    hostile = f"$(touch {tmp_path}/ran)"
    for name, text in (("dmremap", f"printf '%s\\n' '{hostile}' 'a b' data dax"),
                       ("dmsetup", f"printf '%s\\t(253:0)\\n' '{hostile}' 'a b' data dax")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("words", [["activate"], ["status"], ["scrub", "start"], ["write-cache"]])
def test_a_name_is_not_a_command(place: Path, words: list[str]) -> None:
    offered = completed(place, *words, "")
    assert not (place / "ran").exists()
    assert offered[1:] == ["a\\ b", "data", "dax"] and offered[0].startswith("\\$\\(touch"), offered
    assert completed(place, *words, "dat") == ["data"]


def test_without_any_set(place: Path) -> None:
    (place / "dmsetup").write_text("#!/bin/sh\necho No devices found\n")
    assert completed(place, "status", "") == [""]
