# SPDX-License-Identifier: GPL-2.0-or-later
"""What must never be in a kernel log. Used on the host (whole logs) and in guests (per test)."""

import re

COMPLAINTS = re.compile(
    r"\bBUG\b|WARNING:|KASAN:|UBSAN:|KCSAN:|Kernel panic|Oops|general protection fault|"
    r"INFO: (possible|inconsistent|suspicious|task .* blocked|rcu|trying to register|lockdep)|"
    r"possible (circular|recursive) locking|suspicious RCU usage|bad unlock balance|"
    r"sleeping function called|scheduling while atomic|blocked for more than|"
    r"ODEBUG:|refcount_t:|list_(add|del) corruption|unreferenced object|rcu.*stall|"
    r"DEBUG_LOCKS_WARN_ON|workqueue lockup|soft lockup|Memory leak|kmem_cache_destroy|"
    r"still has objects|Objects remaining|bad page state|Modules linked in:")


def complaints(log: str) -> list[str]:
    """The lines of LOG in which the kernel complains of a defect."""
    return [line for line in log.splitlines() if COMPLAINTS.search(line)]
