# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls that Python has no function for, by their number (x86-64)."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: object) -> int:
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
