"""Showing a run on the terminal: one table, and where the report is."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from flows.console import Common
from flows.records import public, table_of


def show_run(record: Mapping[str, Any], common: Common) -> None:
    """The run's object with ``--json``, else its table."""
    common.show(public(record), "" if common.json else text_of(record))


def text_of(record: Mapping[str, Any]) -> str:
    """Stages, the detector table, and the paths to open next."""
    lines = [_stage_line(record)]
    if record["detectors"]:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        lines.append((not colour and record.get("table")) or table_of(public(record), colour=colour))
        lines += list(record.get("notes", []))
    if record["error"]:
        lines.append(f"{record['status']}: {record['error']}")
    lines.append(f"run     {record['run']}  ({record['status']})")
    if record["report"]:
        lines.append(f"report  {record['report']}")
    return "\n".join(lines)


def _stage_line(record: Mapping[str, Any]) -> str:
    stages = record["stages"]
    ran = [stage for stage in stages if stage["outcome"] == "ran"]
    cached = len(stages) - len(ran)
    lines = [f"{len(stages)} stages: {len(ran)} ran, {cached} reused"]
    if not ran and stages:
        lines[0] += f" (every one: {stages[0]['why']})" if len({stage["why"] for stage in stages}) == 1 else ""
    lines += [f"  {stage['name']} {stage['outcome']} in {stage['seconds']:.1f} s: {stage['why']}" for stage in ran]
    lines += [f"  {stage['name']} reused: {stage['why']}" for stage in stages if stage["outcome"] == "cached" and not ran]
    return "\n".join(lines)
