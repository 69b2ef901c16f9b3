# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's headers, configured as if clang had built that kernel.

Debian has no such kernel. This changes those symbols of the configuration that depend on the
compiler, so that make and the headers choose the flags and the code for clang.
Caller: headers.py.
"""

import re
import shutil
from pathlib import Path

NOT_SET = ["CC_IS_GCC", "CC_HAS_MIN_FUNCTION_ALIGNMENT", "CC_HAS_UBSAN_BOUNDS_STRICT",
           "UBSAN_BOUNDS_STRICT", "FTRACE_MCOUNT_USE_CC", "CC_HAS_NAMED_AS",
           "USE_X86_SEG_SUPPORT"]
SET = ["CC_IS_CLANG", "CC_HAS_UBSAN_ARRAY_BOUNDS", "UBSAN_ARRAY_BOUNDS",
       "FTRACE_MCOUNT_USE_OBJTOOL"]
VALUES = {"GCC_VERSION": "0", "CLANG_VERSION": "190100",
          "CC_IMPLICIT_FALLTHROUGH": '"-Wimplicit-fallthrough"'}


def _edit(path: Path, line: str, yes: str, start: str) -> None:
    """Write SET, NOT_SET and VALUES to PATH in the form of LINE, which begins with START."""
    names = "|".join([*NOT_SET, *SET, *VALUES])
    old = re.compile(rf"^{re.escape(start)}CONFIG_({names})\b.*\n", re.MULTILINE)
    new = [line.format(name, yes) for name in SET]
    new += [line.format(name, value) for name, value in VALUES.items()]
    path.write_text(old.sub("", path.read_text()) + "".join(new))


def copy(headers: Path, target: Path, target_there: str) -> None:
    """Copy HEADERS, of a kernel that gcc has built, to TARGET and change the configuration.

    In the chroot TARGET is TARGET_THERE.
    """
    shutil.copytree(headers, target, symlinks=True)
    makefile = target / "Makefile"
    makefile.write_text(re.sub(r"^KBUILD_OUTPUT=.*", f"KBUILD_OUTPUT={target_there}",
                               makefile.read_text(), flags=re.MULTILINE))
    _edit(target / "include/config/auto.conf", "CONFIG_{}={}\n", "y", "")
    _edit(target / "include/generated/autoconf.h", "#define CONFIG_{} {}\n", "1", "#define ")
