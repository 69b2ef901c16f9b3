# SPDX-License-Identifier: GPL-2.0-or-later
"""Crash states of the real module, in User Mode Linux: at least 2000 of each set's."""

import random

import pytest

from tests.crash import run
from tests.crash.geometry import SHAPES


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_no_crash_loses_anything(shape: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"repeat with: python3 -m tests.crash.run --shape {shape} --seed {seed}")
    wrong = run.run(shape, seed, operations=800, states=40000, activate=30)
    assert not wrong, "\n".join(wrong[:20])
