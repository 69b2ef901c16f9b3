# SPDX-License-Identifier: GPL-2.0-or-later
"""What must never be in a kernel log. Used on the host (whole logs) and in guests (per test)."""

import re

COMPLAINTS = re.compile(
    r"\bBUG\b|WARNING:|KASAN:|UBSAN:|KCSAN:|Kernel panic|Oops|general protection fault|"
    r"INFO: (possible|inconsistent|task .* blocked|rcu|trying to register|lockdep)|"
    r"possible (circular|recursive) locking|bad unlock balance|"
    r"sleeping function called|scheduling while atomic|blocked for more than|"
    r"ODEBUG:|refcount_t:|list_(add|del) corruption|unreferenced object|rcu.*stall|"
    r"DEBUG_LOCKS_WARN_ON|workqueue lockup|soft lockup|Memory leak|kmem_cache_destroy|"
    r"still has objects|Objects remaining|bad page state|Modules linked in:")

# User Mode Linux itself walks a process's maple tree without a lock at each fork.
KNOWN_REPORT, KNOWN_FUNCTION, REPORT_LINES = "suspicious RCU usage", "force_flush_all", 60


def complaints(log: str) -> list[str]:
    """The lines of LOG in which the kernel complains of a defect."""
    lines = log.splitlines()
    found = []
    for number, line in enumerate(lines):
        if not COMPLAINTS.search(line):
            continue
        report = lines[number:number + REPORT_LINES]
        if KNOWN_REPORT in line and any(KNOWN_FUNCTION in part for part in report):
            continue
        found.append(line)
    return found
