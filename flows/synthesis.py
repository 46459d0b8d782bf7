"""
The document of an evaluation of imports: what nobody states follows from the recordings themselves.

- Rows are as far apart as the scrapes (the longest usual interval of all of them), rates are taken over four intervals, at least 5 s.
- The profile is ``short`` where less than an hour is scored, else ``long``; the budget of false alarms is that of the shipped
  documents of that profile, 24 or 1 a day.
- No window has fewer rows than those of the profile ``short`` have at a row a second.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from flows.document import OF_RECORDING, Experiment, validate, with_overrides
from flows.imports import Import
from flows.suitability import TESTED, Reason, refuse, roles_missing
from tasks.base.errors import DocumentError
from tasks.base.yaml_source import Source, read_source
from tasks.detectors.config import DEFAULT
from tasks.detectors.registry import WINDOW_S
from tasks.evaluation.config import BLOCK_S, BUFFER_S
from tasks.rootcause.config import EFFECT_S, REFERENCE_S

Profile = Literal["short", "long"]
SHORT_S = 3600.0
"""Less than this is scored: the windows of ``short`` are used."""
BUDGET_PER_DAY: Mapping[Profile, float] = {"short": 24.0, "long": 1.0}
SCRAPES_A_WINDOW = 4
SHORTEST_WINDOW_S = 5.0
NAME = "imports"
WINDOWED = frozenset(one.name for one in DEFAULT if hasattr(one, "window_s"))
"""Detectors that look at several rows at once."""


def experiment_of(imports: Sequence[Import], file: Path | None, overrides: Sequence[str]) -> Experiment:
    """
    The experiment that evaluates *imports*.

    Args:
        imports: What is evaluated.
        file: A document whose sections on features, detectors, evaluation and ranking are used; what it says of recording is not.
        overrides: ``setting=value``, as everywhere.

    Raises:
        DocumentError: A role is missing, nobody knows how far apart rows have to be, or what is stated is wrong.
    """
    refuse(roles_missing(imports))
    source = with_overrides(_stated(file), overrides)
    refuse(_unknown_interval(source.value, imports))
    return validate(replace(source, value=filled(source.value, imports)))


def _stated(file: Path | None) -> Source:
    """What the document says of evaluating."""
    if file is None:
        return Source("the evaluation of imports", {}, {})
    found = read_source(file, keep_mistakes=True)
    if not isinstance(found.value, Mapping):
        raise DocumentError(f"{file} is no mapping of settings", next_step=f"tidegauge check {file}")
    unused = (*OF_RECORDING, "recordings")
    value = {name: section for name, section in found.value.items() if name not in unused}
    return replace(found, value=value, wrong=tuple((loc, mistake) for loc, mistake in found.wrong if not loc or loc[0] not in unused))


def _unknown_interval(stated: Mapping[str, Any], imports: Sequence[Import]) -> list[Reason]:
    if any(one.interval_s is not None for one in imports) or "grid_s" in _section(stated, "features"):
        return []
    names = ", ".join(one.name for one in imports)
    return [
        Reason(
            f"{names}: no series `up` tells how often anything was scraped, so nobody knows how far apart rows should be",
            "add --set features.grid_s=SECONDS, the interval of the scrapes",
        )
    ]


def filled(stated: Mapping[str, Any], imports: Sequence[Import]) -> dict[str, Any]:
    """The document's plain values: *stated*, and what follows from *imports* for all that it leaves open."""
    profile: Profile = "short" if sum(one.span.length_s for one in imports if one.role in TESTED) < SHORT_S else "long"
    interval_s = max((_rounded(one.interval_s) for one in imports if one.interval_s is not None), default=0.0)
    features = {"profile": profile, "grid_s": interval_s, **_section(stated, "features")}
    grid_s = _number(features["grid_s"])
    window_s = max(SHORTEST_WINDOW_S, SCRAPES_A_WINDOW * max(interval_s, grid_s))
    value = {"version": 1, "name": NAME, **stated}
    value["recordings"] = entries(imports)
    value["features"] = _over(stated, "features", {**features, "rate_window_s": features.get("rate_window_s", window_s)})
    value["evaluation"] = _over(stated, "evaluation", _evaluation(_section(stated, "evaluation"), profile, grid_s))
    value["ranking"] = _over(stated, "ranking", _ranking(_section(stated, "ranking"), profile, grid_s))
    listed = stated.get("detectors", [one.name for one in DEFAULT])
    value["detectors"] = [_detector(one, _profile(features), grid_s) for one in listed] if isinstance(listed, list) else listed
    return value


def _evaluation(stated: Mapping[str, Any], profile: Profile, grid_s: float) -> dict[str, Any]:
    value = {"profile": profile, "false_alarms_per_day": BUDGET_PER_DAY[profile], **stated}
    lengths = {"block_s": BLOCK_S, "vus_buffer_s": BUFFER_S}
    return {**_lengthened(lengths, _profile(value), grid_s), **value}


def _ranking(stated: Mapping[str, Any], profile: Profile, grid_s: float) -> dict[str, Any]:
    value = {"profile": profile, **stated}
    lengths = {"reference_s": REFERENCE_S, "effect_s": EFFECT_S}
    return {**_lengthened(lengths, _profile(value), grid_s), **value}


def _detector(item: Any, profile: Profile, grid_s: float) -> Any:
    """An entry of the section ``detectors``, its window of enough rows where it has one and says nothing of it."""
    longer = _lengthened({"window_s": cast("Mapping[Profile, float]", WINDOW_S)}, profile, grid_s)
    named = {"name": item} if isinstance(item, str) else item
    if not longer or not isinstance(named, dict) or named.get("name") not in WINDOWED:
        return item
    return {**longer, **named}


def _lengthened(lengths: Mapping[str, Mapping[Profile, float]], profile: Profile, grid_s: float) -> dict[str, float]:
    """Those *lengths* of *profile*, in seconds, that have fewer rows of *grid_s* than the profile ``short`` has at a row a second."""
    wanted = {name: (of[profile], of["short"] * grid_s) for name, of in lengths.items()}
    return {name: least_s for name, (own_s, least_s) in wanted.items() if least_s > own_s}


def entries(imports: Sequence[Import]) -> list[dict[str, Any]]:
    """The section ``recordings``; where two have one name, each is called by its role, numbered where that is not enough."""
    names = [one.name for one in imports]
    if len(set(names)) < len(names):
        names = [one.role for one in imports]
        counts, seen = Counter(names), Counter[str]()
        for place, role in enumerate(names):
            seen[role] += 1
            names[place] = role if counts[role] == 1 else f"{role}-{seen[role]}"
    return [{"name": name, "role": one.role, "imported": str(one.ref)} for name, one in zip(names, imports, strict=True)]


def _rounded(interval_s: float) -> float:
    """A measured interval as it was meant: 15.003 s is 15 s."""
    return round(interval_s, 1 if interval_s >= 1 else 3)


def _section(stated: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A section as far as it is one; what is none is refused later, with its place."""
    value = stated.get(name)
    return dict(value) if isinstance(value, Mapping) else {}


def _over(stated: Mapping[str, Any], name: str, value: dict[str, Any]) -> Any:
    wrong = stated.get(name)
    return value if wrong is None or isinstance(wrong, Mapping) else wrong


def _profile(section: Mapping[str, Any]) -> Profile:
    return "short" if section["profile"] == "short" else "long"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
