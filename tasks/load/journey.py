"""Journeys as data: finding a set, and what it amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from tasks.base.errors import DocumentError
from tasks.base.yaml_source import Mistake, dotted, read_source, refuse
from tasks.load.config import JourneySet, LoadConfig


def shipped_folders() -> tuple[Path, ...]:
    """The project's own ``configs`` folder: in a checkout, or inside the installed package."""
    top = Path(__file__).resolve().parents[2]
    return tuple(folder for folder in (top / "configs", top / "tidegauge" / "configs") if (folder / "journeys").is_dir())


def journeys_of(settings: LoadConfig, folders: Sequence[Path] | None = None) -> JourneySet:
    """
    The journeys that *settings* name or hold, with the accounts that log in.

    Args:
        settings: The section ``load``.
        folders: Where ``journeys/NAME.yaml`` is looked for, in this order; None: the shipped ``configs`` folder.

    Raises:
        DocumentError: There is no such set, or its file is wrong.
    """
    if isinstance(settings.journeys, str):
        found = _named(settings.journeys, shipped_folders() if folders is None else folders)
    else:
        found = JourneySet(accounts=settings.accounts, journeys=settings.journeys)
    return found.model_copy(update={"accounts": settings.accounts}) if settings.accounts else found


def _named(name: str, folders: Sequence[Path]) -> JourneySet:
    for folder in folders:
        path = folder / "journeys" / f"{name}.yaml"
        if path.is_file():
            return read_set(path)
    known = sorted({path.stem for folder in folders for path in (folder / "journeys").glob("*.yaml")})
    raise DocumentError(
        f"load.journeys: there is no journey set {name!r}", next_step=f"choose one of: {', '.join(known) or '(none found)'}"
    )


def read_set(path: Path) -> JourneySet:
    """
    The journey set in the YAML file *path*.

    Raises:
        DocumentError: It is wrong; each mistake with file and line.
    """
    status = path.stat() if path.is_file() else None
    return _read(path, None if status is None else (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=8)
def _read(path: Path, _: tuple[int, int] | None) -> JourneySet:
    source = read_source(path, what="journey set")
    try:
        return JourneySet.model_validate(source.value)
    except ValidationError as error:
        mistakes = [Mistake(*source.mark(item["loc"]), dotted(item["loc"]), item["msg"]) for item in error.errors()]
        raise refuse(str(path), mistakes, "journey set") from error


def endpoints(journeys: JourneySet) -> tuple[str, ...]:
    """All endpoints that the journeys call (``GET /catalogue``), each once, in order of first use."""
    return tuple(dict.fromkeys(request.endpoint for journey in journeys.journeys for request in journey.requests))


def requests_per_journey(journeys: JourneySet) -> float:
    """Mean number of requests of a journey, by weight."""
    total = sum(journey.weight for journey in journeys.journeys)
    return sum(journey.weight * len(journey.requests) for journey in journeys.journeys) / total
