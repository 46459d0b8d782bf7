"""The table of users over time that a document may name: a CSV file with the columns ``time_s,users``."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from tasks.base.errors import DocumentError

LIMIT_BYTES = 1 << 20
LIMIT_ROWS = 20_000
LIMIT_S = 30 * 86_400.0
LIMIT_USERS = 100_000


def find_file(name: str, folders: Sequence[Path]) -> Path:
    """
    The first file *name* in *folders*; an absolute path stays as it is.

    Raises:
        DocumentError: There is none.
    """
    places = [Path(name)] if Path(name).is_absolute() else [folder / name for folder in folders]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places) or "no folder"
    raise DocumentError(
        f"load.users.file: there is no file {name} (looked at {looked})", next_step="write one with the columns time_s,users"
    )


def table(path: Path) -> tuple[tuple[tuple[float, float], ...], tuple[str, ...]]:
    """
    The rows (seconds, users) of a CSV file with the header ``time_s,users``, and each mistake with file and line.

    Raises:
        DocumentError: It cannot be read.
    """
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise DocumentError(f"{path} is larger than {LIMIT_BYTES >> 20} MiB")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot read {path}: {error}") from error
    try:
        points, mistakes = _rows(text, str(path))
    except csv.Error as error:
        return (), (f"{path}:1: not a table of comma-separated values: {error}",)
    if not mistakes and not points:
        mistakes.append(f"{path}:2: no row follows the header")
    if len(points) > LIMIT_ROWS:
        mistakes.append(f"{path}:{LIMIT_ROWS + 2}: more than {LIMIT_ROWS:,} rows; fewer ones with interpolate: linear draw the same curve")
    return tuple(points), tuple(mistakes)


def _rows(text: str, name: str) -> tuple[list[tuple[float, float]], list[str]]:
    points: list[tuple[float, float]] = []
    mistakes: list[str] = []
    last_s = -1.0
    reader = csv.reader(text.splitlines())
    header = next(reader, [])
    if [cell.strip() for cell in header] != ["time_s", "users"]:
        return [], [f"{name}:1: the header must be time_s,users"]
    for row in reader:
        where = f"{name}:{reader.line_num}"
        if len(row) != 2:
            mistakes.append(f"{where}: two cells were expected, not {len(row)}")
            continue
        time_s, users = _number(row[0], LIMIT_S), _number(row[1], LIMIT_USERS)
        if time_s is None:
            mistakes.append(f"{where}: time_s: {row[0].strip()!r} is not a number from 0 to {LIMIT_S:.0f}")
        elif time_s <= last_s:
            mistakes.append(f"{where}: time_s: {time_s:g} does not come after {last_s:g}")
        elif reader.line_num == 2 and time_s != 0:
            mistakes.append(f"{where}: time_s: the first row must be at 0, not at {time_s:g}")
        if users is None:
            mistakes.append(f"{where}: users: {row[1].strip()!r} is not a number from 0 to {LIMIT_USERS}")
        last_s = last_s if time_s is None else time_s
        if time_s is not None and users is not None:
            points.append((time_s, users))
    return points, mistakes


def _number(text: str, most: float) -> float | None:
    try:
        value = float(text.strip()) if text.strip().isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value if 0 <= value <= most else None
