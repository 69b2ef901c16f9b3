# SPDX-License-Identifier: GPL-2.0-or-later
"""Where everything stands when nothing goes on: our threads, and what waits in the kernel.

Caller: life.py, in the guest.
"""

import sys
import threading
import traceback
from pathlib import Path


def _waiting() -> list[str]:
    """Tasks that cannot be interrupted, and where in the kernel they are, if it tells."""
    found = []
    for task in Path("/proc").glob("[0-9]*/task/[0-9]*"):
        try:
            name, state = (task / "stat").read_text().split("(", 1)[1].rsplit(") ", 1)
            if state[0] == "D":
                stack = (task / "stack").read_text() if (task / "stack").exists() else ""
                found.append(f"{task.name} {name}: {(task / 'wchan').read_text()}\n{stack}")
        except OSError:
            continue    # it has ended
    return found


def stacks() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    ours = [f"{names.get(number)}:\n{''.join(traceback.format_stack(frame)[-3:])}"
            for number, frame in sys._current_frames().items()]
    return "\n".join([*ours, *_waiting()])
