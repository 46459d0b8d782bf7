"""Looking on behind the first mistakes: a copy of the document in which what is wrong is left out or stood in for."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from tasks.base.mistakes import in_document
from tasks.base.yaml_events import Loc

NO_LOAD = "load: is missing"
"""Said of a document that records, as of any setting that must be there."""
STAND_INS: Mapping[str, Any] = {
    "version": 1,
    "name": "stand-in",
    "seed": 1,
    "load": {"users": {"shape": "constant", "users": 1}},
}
"""For what a document must have."""
OPTIONAL = ("cluster", "telemetry", "features", "detectors", "evaluation", "ranking")
"""Sections that can be left out."""
TIMING = ("telemetry", "features", "evaluation")
"""Sections that say how much quiet a fault needs."""


def mended(value: Mapping[str, Any], error: ValidationError) -> tuple[dict[str, Any], bool]:
    """
    *value* without what *error* complains of, as far as that can be, so that the rest can be looked at too.

    Returns:
        The copy, and whether its timing is still that of *value*: only then do sentences on quiet times mean anything.
    """
    result, exact = deepcopy(dict(value)), True
    for item in error.errors():
        loc = in_document(value, item["loc"], keep_last=item["type"] in ("missing", "extra_forbidden"))
        if item["type"] == "extra_forbidden":
            _drop(result, loc)
        elif loc and loc[0] in STAND_INS:
            result[str(loc[0])] = STAND_INS[str(loc[0])]
        elif loc and loc[0] in OPTIONAL:
            result.pop(str(loc[0]), None)
            exact = exact and loc[0] not in TIMING
        elif loc[:1] == ("recordings",) and len(loc) > 1 and loc[2:] in ((), ("duration_s",)) and isinstance(_at(result, loc[:2]), dict):
            entry = _at(result, loc[:2])
            for name in ("duration_s", "imported"):
                entry.pop(name, None)
            entry |= {} if entry.get("role") == "faults" else {"duration_s": 1}
        elif not loc and NO_LOAD in str(item["msg"]):
            result["load"] = STAND_INS["load"]
        elif not loc or loc[0] == "recordings":
            roles = ("training", "calibration", *(("faults",) if "faults" in value else ()))
            result["recordings"] = [{"name": role, "role": role} | ({"duration_s": 1} if role != "faults" else {}) for role in roles]
        elif loc[:2] == ("faults", "trials") and loc[3:] == ("kind",):
            _at(result, loc[:-1])["kind"] = "pause"
        else:
            _drop(result, ("faults", "quiet_s") if loc == ("faults",) else loc)
            exact = False
    return result, exact


def _at(value: Any, loc: Loc) -> Any:
    for part in loc:
        value = value[part]
    return value


def _drop(value: Any, loc: Loc) -> None:
    try:
        holder = _at(value, loc[:-1])
    except (LookupError, TypeError):
        return  # left out already, with what it stood in
    if loc and isinstance(holder, dict):
        holder.pop(loc[-1], None)
