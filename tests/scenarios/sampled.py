# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of hundreds of states a scenario gives to the command: each, or one of ONE_OF. Of the
tests marked `long` as many are run.

`make check` tries a part, another one each time (the suite's ONE_OF in tests/suites.py);
`make check-all` and every other caller try each. A failure names its state by number.
Callers: conftest.py, killing.py, powercuts.py, scenarios that go through states of their own.
"""

import os
import random

from tests.harness.uml import ONE_OF_VARIABLE

ONE_OF = int(os.environ.get(ONE_OF_VARIABLE) or 1)
_FIRST = random.SystemRandom().randrange(ONE_OF)


def wanted(number: int) -> bool:
    """Whether state NUMBER is tried this time."""
    return number % ONE_OF == _FIRST


def this_time() -> bool:
    """Whether a long test is run; another answer each time."""
    return random.SystemRandom().randrange(ONE_OF) == 0
