"""Rows as text: a table for the terminal, and a page for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.rows import Row

NOTE = "<!-- Printed by `make docs`; edit the code instead. -->"
INTRODUCTION = """\
`make bench` measures; this page shows the last run, without times and without the machine. A ratio is ours over the peer's in
the same run, both alternating, after their results were compared value by value; where the goal is "as fast as", it is the
peer's time over ours. A goal that was missed is written as missed. What needs a cluster or a Prometheus where there was none is
written as not measured, and counts as missed.
"""


def figure(value: float | None, unit: str) -> str:
    """*value* in a readable size of its unit; ``-`` for none."""
    if value is None:
        return "-"
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB"
    digits = f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
    return f"{digits} {unit}".rstrip()


def verdict(row: Row) -> str:
    """``met``, ``MISSED``, ``-`` where there is no goal, or ``not measured`` where there was nothing to measure it on."""
    if row.value is None:
        return "not measured"
    return "-" if row.met is None else "met" if row.met else "MISSED"


def printed(rows: Sequence[Row]) -> str:
    """The table for the terminal, columns aligned; the peers' exact calls stand below it."""
    head = ("what", "value", "peer", "ratio", "goal", "")
    cells = [
        (
            row.name,
            figure(row.value, row.unit),
            figure(row.peer_value, row.unit),
            "-" if row.ratio is None else f"{row.ratio:.2f}",
            row.goal or "-",
            verdict(row),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in (head, *cells)]
    calls = [f"{row.name}: against {row.peer}" for row in rows if row.peer is not None]
    return "\n".join([*lines, *(["", *calls] if calls else [])]) + "\n"


def page(rows: Sequence[Row]) -> str:
    """The documentation's page: names, peers, ratios, goals and verdicts; no times, no machine."""
    lines = ["| what | peer | ratio | goal | |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        peer = "-" if row.peer is None else f"`{row.peer}`".replace("|", "\\|")
        said = verdict(row)
        lines.append(f"| `{row.name}` | {peer} | {ratio} | {row.goal or '-'} | {'**missed**' if said == 'MISSED' else said} |")
    return "\n".join(["# Speed and memory", "", NOTE, "", INTRODUCTION, *lines]) + "\n"
