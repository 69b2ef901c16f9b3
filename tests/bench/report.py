# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables and the plot of build/bench.json. Caller: run.py."""

import html
import json
import math
from typing import Any

from tests.bench.fast_path import Row

WIDTH, HEIGHT, LEFT, TOP = 420, 300, 60, 40     # of a panel's axes, and what is beside them
COLOURS = {"null_blk": "#888888", "dm-linear": "#000000", "floor": "#b8860b",
           "dm-linear table": "#c02020", "remap": "#2050c0"}
DASHES = {"clean": "", "miss": "6 3", "hit": "2 3"}


def size_text(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else \
        f"{size >> 10} KiB" if size >= 1024 else f"{size} B"


def show(found: dict[str, Any]) -> None:
    """All that was measured, on the terminal."""
    rows = [Row(**row) for row in found.get("rows", [])]
    if rows:
        print(f"{'stack':16}{'op':8}{'size':>8} {'pattern':11}{'remaps':>8}  {'kind':6}"
              f"{'insn/io':>10}{'x linear':>9}{'spread':>8}")
    for row in sorted(rows, key=lambda row: (row.op, row.size, row.pattern)):
        print(f"{row.stack:16}{row.op:8}{size_text(row.size):>8} {row.pattern:11}"
              f"{row.remaps:8}  {row.kind:6}{row.insn_per_io:10.0f}{row.ratio_to_linear:9.3f}"
              f"{row.spread:8.2%}")
    for part, figures in found.items():
        if part != "rows":
            print(f"{part}: {json.dumps(figures, indent=1)}")


def _x(remaps: int) -> float:
    """0 and 1 to 1,000,000, logarithmic: 0 stands one decade before 1."""
    return LEFT + WIDTH * (math.log10(remaps) + 1 if remaps else 0) / 7


def _line(points: list[tuple[float, float]], colour: str, dash: str, title: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
                   for x, y in points)
    return f'<g><title>{html.escape(title)}</title><polyline points="{places}" fill="none" ' \
           f'stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash}"/>{dots}</g>\n'


def _panel(rows: list[Row], op: str) -> str:
    """Cost of a random I/O of 4 KiB against the number of remaps, all stacks."""
    rows = [row for row in rows if (row.op, row.size, row.pattern) == (op, 4096, "random")]
    if not rows:
        return ""
    costs = [row.insn_per_io for row in rows if row.stack != "null_blk"]
    low, high = min(costs) * 0.995, max(costs) * 1.005

    def y(cost: float) -> float:
        return TOP + HEIGHT * (high - cost) / (high - low)

    out = f'<text x="{LEFT}" y="{TOP - 12}" font-weight="bold">{op}, 4 KiB, random</text>\n' \
          f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" ' \
          'stroke="#ccc"/>\n'
    for n in range(5):
        cost = low + (high - low) * n / 4
        out += f'<text x="{LEFT - 6}" y="{y(cost) + 4:.1f}" text-anchor="end">{cost:.0f}</text>\n'
    for remaps in (0, 1, 1000, 100_000, 1_000_000):
        out += f'<text x="{_x(remaps):.1f}" y="{TOP + HEIGHT + 16}" ' \
               f'text-anchor="middle">{remaps:,}</text>\n'
    series: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.stack != "null_blk":
            series.setdefault((row.stack, row.kind), []).append(row)
    for (stack, kind), found in series.items():
        points = [(_x(row.remaps), y(row.insn_per_io))
                  for row in sorted(found, key=lambda row: row.remaps)]
        if stack in ("dm-linear", "floor"):         # they have no remaps: a level
            points.append((_x(1_000_000), points[0][1]))
        out += _line(points, COLOURS[stack], DASHES[kind], f"{stack}, {kind}")
    return out


def _legend(rows: list[Row]) -> str:
    out, at = "", TOP + HEIGHT + 50
    named = sorted({(row.stack, row.kind) for row in rows if row.stack != "null_blk"})
    for number, (stack, kind) in enumerate(named):
        x, y = LEFT + number % 4 * 230, at + number // 4 * 20
        out += _line([(x, y), (x + 40, y)], COLOURS[stack], DASHES[kind], "") + \
            f'<text x="{x + 48}" y="{y + 4}">{html.escape(f"{stack}, {kind}")}</text>\n'
    return out


def plot(rows: list[Row]) -> str:
    """An SVG: instructions of an I/O against the number of remaps."""
    right = LEFT + WIDTH + 30
    width, height = right + LEFT + WIDTH + 30, TOP + HEIGHT + 120
    shown = [row for row in rows if (row.size, row.pattern) == (4096, "random")
             and row.op in ("read", "write")]
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" ' \
           f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">\n' \
           f'<rect width="{width}" height="{height}" fill="#fff"/>\n' \
           f'{_panel(rows, "read")}<g transform="translate({right} 0)">' \
           f'{_panel(rows, "write")}</g>{_legend(shown)}' \
           f'<text x="{LEFT}" y="{height - 12}">guest instructions of an I/O, by number of ' \
           'remaps (QEMU\'s instruction clock)</text>\n</svg>\n'
