"""Labels that somebody brings along: which faults there were in a recording that was imported."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tasks.base.clock import from_iso, iso
from tasks.base.errors import DocumentError
from tasks.base.intervals import Interval
from tasks.base.trials import OF_BENIGN, Outcome, Trial, Windows
from tasks.recordings.labels import HEADER, WINDOWS

NEEDED = ("kind", "target", "start", "end")
"""The short form; the long form is that of a recording's own ``labels.csv``."""
OPTIONAL = ("fault_id", "intensity", "placebo", "benign", "outcome")
LIMIT_BYTES = 4 << 20
ASSUMED = "the label file names no outcome: taken for one that users noticed"


def read_labels(path: Path, span: Interval, shift_s: float = 0.0) -> tuple[Trial, ...]:
    """
    The trials in the CSV file *path*, by their start.

    Args:
        path: With the columns ``kind,target,start,end`` (ISO 8601 with a zone, or seconds since 1970) and any of
            ``fault_id,intensity,placebo,benign,outcome``, or the columns of a recording's ``labels.csv``.
        span: What was imported; a fault outside of it is a mistake.
        shift_s: Added to each time: the samples' clock less the clock of the labels.

    Raises:
        DocumentError: All mistakes, each with its line.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LIMIT_BYTES + 1)
        if len(raw) > LIMIT_BYTES:
            raise DocumentError(f"{path} has more than {LIMIT_BYTES >> 20} MB; labels need a line a fault")
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path} cannot be read: {error}") from error
    found, mistakes = _read(path, text, span, shift_s)
    if mistakes:
        raise DocumentError("\n".join(mistakes), next_step=f"columns: {','.join(NEEDED)} and, if known, {','.join(OPTIONAL)}")
    return tuple(sorted(found, key=lambda trial: (trial.windows.requested, trial.id)))


def _read(path: Path, text: str, span: Interval, shift_s: float) -> tuple[list[Trial], list[str]]:
    """Trials and mistakes; a mistake in the header or in the quotes ends the search for others."""
    rows = csv.DictReader(io.StringIO(text), strict=True)
    found: dict[str, Trial] = {}
    mistakes: list[str] = []
    try:
        rows.fieldnames = names = [name.strip() for name in rows.fieldnames or ()]
        mistakes += _header_mistakes(path, names)
        for row in () if mistakes else rows:
            try:
                trial = _trial(row, span, shift_s)
                if trial.id in found and not (row.get("fault_id") or "").strip():
                    trial = replace(trial, id=f"{trial.id}-{rows.line_num}")
                if trial.id in found:
                    raise ValueError(f"another fault is called {trial.id}")
                found[trial.id] = trial
            except ValueError as error:
                mistakes.append(f"{path}:{rows.line_num}: {error}")
    except csv.Error as error:
        mistakes.append(f"{path}:{max(1, rows.reader.line_num)}: {error}")
    return list(found.values()), mistakes


def _header_mistakes(path: Path, names: list[str]) -> list[str]:
    long = "requested" in names
    known = HEADER if long else (*NEEDED, *OPTIONAL)
    wanted = ("kind", "target", "requested", "reverted") if long else NEEDED
    found = [f"{path}:1: there is no column {name}" for name in wanted if name not in names]
    found += [f"{path}:1: there is no use for a column {name!r}{_nearest(name, known)}" for name in names if name not in known]
    return found + [f"{path}:1: two columns are called {name}" for name in sorted({name for name in names if names.count(name) > 1})]


def _trial(row: Mapping[str, str | None], span: Interval, shift_s: float) -> Trial:
    if None in row:
        raise ValueError("it has more cells than the header")
    cells = {name: (value or "").strip() for name, value in row.items()}
    if not cells["kind"] or not cells["target"]:
        raise ValueError("kind and target must not be empty")
    for name in ("fault_id", "kind", "target"):
        _check_name(name, cells.get(name, ""))
    placebo = _truth("placebo", cells.get("placebo", ""))
    told = cells.get("outcome", "")
    if told and told not in set(Outcome):
        raise ValueError(f"outcome {told!r} is none of {', '.join(Outcome)}{_nearest(told, list(Outcome))}")
    benign = told in OF_BENIGN or _truth("benign", cells.get("benign", ""))
    if placebo and benign:
        raise ValueError("it is a placebo and benign; a placebo changes nothing")
    windows = _windows(cells, shift_s)
    end = windows.requested if windows.reverted is None and told == Outcome.NOT_INJECTED else windows.reverted
    if end is None or end < windows.requested or (end == windows.requested and told != Outcome.NOT_INJECTED):
        raise ValueError("its end is not after its start")
    if windows.requested < span.start_s or windows.requested > span.end_s:
        raise ValueError("it starts outside of what is imported")
    return Trial(
        id=cells.get("fault_id") or f"label-{_compact(windows.requested)}",
        kind=cells["kind"],
        target=cells["target"],
        intensity=_number(cells.get("intensity", "")),
        placebo=placebo,
        duration_s=round(end - windows.requested, 3),
        windows=windows,
        outcome=None if placebo else _outcome(told, benign),
        note="" if told or placebo or benign else ASSUMED,
        benign=benign,
    )


def _outcome(told: str, benign: bool) -> Outcome:
    """What was *told*; else a fault is taken for one that users noticed, a benign change for one that they did not."""
    if benign:
        return Outcome(told or Outcome.BENIGN).of_benign
    return Outcome(told or Outcome.IMPACT)


def _compact(moment_s: float) -> str:
    """``20260921T141320Z``: a name that no fault of another file has."""
    return "".join(letter for letter in (iso(moment_s) or "")[:19] if letter.isalnum()) + "Z"


def _check_name(column: str, text: str) -> None:
    """Refuse what a terminal or a spreadsheet would take for more than a name: names are shown by both."""
    if not text.isprintable():
        raise ValueError(f"{column} {text!r} has a control character")
    if text.startswith(("=", "+", "-", "@")):
        raise ValueError(f"{column} {text!r} begins like a formula of a spreadsheet")


def _windows(cells: Mapping[str, str], shift_s: float) -> Windows:
    if "start" in cells:
        start, end = (_moment(cells[name]) + shift_s for name in ("start", "end"))
        return Windows(start, start, None, end, end, end)
    times = {name: _moment(cells[name]) + shift_s if cells.get(name) else None for name in WINDOWS}
    requested = times["requested"]
    if requested is None:
        raise ValueError("it has no time at which it was requested")
    acknowledged = times["acknowledged"] if times["acknowledged"] is not None else requested
    return Windows(**{**times, "requested": requested, "acknowledged": acknowledged})  # type: ignore[arg-type]


def _moment(text: str) -> float:
    try:
        try:
            moment_s = float(text)
        except ValueError:
            moment_s = from_iso(text)
        iso(moment_s)  # it must be a moment that can be written down again
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{text!r} is no time: write 2026-11-24T12:00:00Z, or seconds since 1970") from error
    return moment_s


def _truth(column: str, text: str) -> bool:
    if text.lower() in ("", "false", "0", "no"):
        return False
    if text.lower() in ("true", "1", "yes"):
        return True
    raise ValueError(f"{column} {text!r} is neither true nor false")


def _number(text: str) -> float:
    try:
        value = float(text or "1")
    except ValueError as error:
        raise ValueError(f"intensity {text!r} is no number") from error
    if not 0 <= value < float("inf"):
        raise ValueError(f"intensity {text!r} is not a number from 0 on")
    return value


def _nearest(name: str, known: Sequence[str]) -> str:
    """What *name* may have meant; looked for only when something is wrong, since what looks for it takes long to load."""
    from tasks.base.mistakes import nearest

    return nearest(name, known)
