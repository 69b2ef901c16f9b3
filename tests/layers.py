# SPDX-License-Identifier: GPL-2.0-or-later
"""The layers of kmod/ and daemon/: who may know whom. tests/lint runs it.

    python3 -m tests.layers        builds the module for User Mode Linux and daemon/, prints figures

A file may include headers of its own layer and of those before it in ORDER, and call what they
define; a layer's internal.h is its own. Calls are read from the object files' symbols, so a
function that a layer above installs as a pointer is no call. No two files call each other, by
whatever detour. Beside that: no struct of more than MAX_FIELDS fields, no header of more than
MAX_HEADER lines, no more than MAX_CODE lines of code (comments and blank lines do not count).

The same order and no circles in daemon/: the folders of the library as in USERSPACE, then the
programs, which know the library and not each other.
"""

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
KMOD = PROJECT / "kmod"
# Each line may know itself and those above it. "" are the files of kmod/ itself.
ORDER = ["map", "base", "meta", "engine", "life", "iface", "construct", "data_path", "target"]
ALONE = {"remap_format": "map"}    # the format, shared with user space: at the bottom
MAX_FIELDS, MAX_HEADER = 25, 250
# What it is now, so that it does not grow unseen; 5000 is where it is to go.
MAX_CODE = 8153

DAEMON = PROJECT / "daemon"
USERSPACE = ["util", "format", "system", "scrub", "health", "set", "files", "ops"]    # of daemon/lib
PROGRAMS = ("dmremap", "dm-remapd", "dm-remap-probe")

Graph = dict[str, set[str]]


def layer(name: str) -> int:
    """Of a file, named as from kmod/ on."""
    path = Path(name)
    first = path.parts[0] if len(path.parts) > 1 else ALONE.get(path.stem, path.stem)
    return ORDER.index(first)


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)


def code_lines(text: str) -> int:
    return sum(bool(line.strip()) for line in without_comments(text).splitlines())


def fields(text: str) -> dict[str, int]:
    """Of each struct that is defined in TEXT: how many fields it has."""
    found = {}
    text = without_comments(text)
    for match in re.finditer(r"^struct (\w+) \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE):
        body = re.sub(r"\{[^{}]*\}", "", match[2])
        body = re.sub(r"\([^()]*\)", "", re.sub(r"\[[^\]]*\]", "", body))
        found[match[1]] = sum(line.count(",") + 1 for line in body.split(";")[:-1])
    return found


def includes(files: dict[str, str]) -> Graph:
    return {name: {target for target in re.findall(r'^#include "([^"]+)"', text, re.MULTILINE)
                   if target in files} for name, text in files.items()}


def calls(objects: Path, root: Path = KMOD) -> Graph:
    """Which file names a symbol that which other file of ROOT defines."""
    defined: dict[str, str] = {}
    wanted: dict[str, set[str]] = {}
    for path in sorted(objects.rglob("*.o")):
        name = str(path.relative_to(objects))
        source = name.removesuffix(".o") + ".c"
        if not (root / source).is_file():
            continue
        wanted[source] = set()
        for line in subprocess.run(["nm", path], check=True, capture_output=True,
                                   text=True).stdout.splitlines():
            *_, kind, symbol = line.split()
            if kind == "U":
                wanted[source].add(symbol)
            elif kind.isupper():
                defined[symbol] = source
    return {name: {defined[symbol] for symbol in symbols if symbol in defined} - {name}
            for name, symbols in wanted.items()}


def upward(graph: Graph, verb: str) -> list[str]:
    return [f"kmod/{name} {verb} kmod/{target}, which is above it" for name in sorted(graph)
            for target in sorted(graph[name]) if layer(target) > layer(name)]


def circles(graph: Graph) -> list[list[str]]:
    """Files that reach each other."""
    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for target in graph.get(todo.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen
    reached = {name: reach(name) for name in graph}
    groups = {tuple(sorted(other for other in graph if other in reached[name]
                           and name in reached[other])) for name in graph}
    return sorted(list(group) for group in groups if len(group) > 1)


def sources() -> dict[str, str]:
    return {str(path.relative_to(KMOD)): path.read_text()
            for path in sorted(KMOD.rglob("*.[ch]")) if not path.name.endswith(".mod.c")}


def figures() -> str:
    files = sources()
    lines = sum(map(code_lines, files.values()))
    most = max((nr, name) for text in files.values() for name, nr in fields(text).items())
    longest = max((text.count("\n"), name) for name, text in files.items() if name.endswith(".h"))
    return (f"{len(files)} files, {lines} lines of code; largest struct {most[1]}: {most[0]} "
            f"fields; longest header {longest[1]}: {longest[0]} lines")


def complaints(objects: Path) -> list[str]:
    files = sources()
    included, called = includes(files), calls(objects)
    missing = {name for name in files if name.endswith(".c")} - set(called)
    found = [f"kmod/{name}: no object file" for name in sorted(missing)]
    found += upward(included, "includes") + upward(called, "calls")
    found += [f"kmod/{name} includes kmod/{target}, which is that layer's own"
              for name in sorted(files) for target in sorted(included[name])
              if target.endswith("internal.h") and layer(target) != layer(name)]
    found += ["these files call each other: " + ", ".join(group) for group in circles(called)]
    for name, text in files.items():
        found += [f"kmod/{name}: struct {struct} has {nr} fields, more than {MAX_FIELDS}"
                  for struct, nr in fields(text).items() if nr > MAX_FIELDS]
        if name.endswith(".h") and text.count("\n") > MAX_HEADER:
            found.append(f"kmod/{name}: {text.count(chr(10))} lines, more than {MAX_HEADER}")
    if (lines := sum(map(code_lines, files.values()))) > MAX_CODE:
        found.append(f"kmod: {lines} lines of code, more than {MAX_CODE}")
    return found


def userspace_upward(graph: Graph, verb: str) -> list[str]:
    """Within the library by USERSPACE; a program may know the library only."""
    def place(name: str) -> tuple[str, int]:
        path = Path(name)
        return (path.parts[0], USERSPACE.index(path.parts[1]) if path.parts[0] == "lib" else 0)

    found = []
    for name in sorted(graph):
        for target in sorted(graph[name]):
            (room, level), (other, above) = place(name), place(target)
            if (room == other and above > level) or (room != other and other != "lib"):
                found.append(f"daemon/{name} {verb} daemon/{target}, which is above it")
    return found


def userspace_includes() -> Graph:
    """Headers of the library are named from daemon/lib on, those of a program by their name."""
    found: Graph = {}
    for path in sorted(DAEMON.rglob("*.[ch]")):
        name = str(path.relative_to(DAEMON))
        found[name] = set()
        for target in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
            for known in (DAEMON / "lib" / target, path.parent / target):
                if known.is_file():
                    found[name].add(str(known.relative_to(DAEMON)))
    return found


def userspace_complaints(objects: Path) -> list[str]:
    """OBJECTS: of daemon/, as its Makefile leaves them."""
    included, called = userspace_includes(), {}
    # each program has a main() of its own
    for room in ("lib", *PROGRAMS):
        graph = calls(objects / room, DAEMON / room)
        called |= {f"{room}/{name}": {f"{room}/{target}" for target in graph[name]}
                   for name in graph}
    missing = {name for name in included if name.endswith(".c")} - set(called)
    return [f"daemon/{name}: no object file" for name in sorted(missing)] \
        + userspace_upward(included, "includes") + userspace_upward(called, "calls") \
        + ["these files call each other: " + ", ".join(group) for group in circles(called)]


def main() -> None:
    from tests.harness import kernels
    kernels.build_module("uml")
    print(figures())
    subprocess.run(["make", "-s", "-C", DAEMON], check=True)
    for line in complaints(kernels.BUILD / "uml" / "kmod") \
            + userspace_complaints(PROJECT / "build" / "obj"):
        print(line)


if __name__ == "__main__":
    main()
