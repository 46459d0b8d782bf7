"""How the API server lays a change over an object: server-side apply and three kinds of patches, as far as tests need them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any


class PatchError(ValueError):
    """The patch does not fit the object; the message says why."""


def applied(before: Any, manifest: Any, owned: Any) -> Any:
    """
    *before* with *manifest* laid over it; what was *owned* by the same manager and is not in *manifest* any more goes.

    Lists whose members have names are merged by name, others are replaced.
    """
    if isinstance(manifest, dict) and isinstance(before, dict):
        owned = owned if isinstance(owned, dict) else {}
        kept = {name: value for name, value in before.items() if name in manifest or name not in owned}
        return {**kept, **{name: applied(before.get(name), value, owned.get(name)) for name, value in manifest.items()}}
    if _named(manifest) and _named(before):
        mine = {one["name"]: one for one in owned} if _named(owned) else {}
        wanted = {one["name"]: one for one in manifest}
        kept = [one for one in before if one["name"] in wanted or one["name"] not in mine]
        known = {one["name"]: one for one in before}
        changed = [applied(one, wanted[one["name"]], mine.get(one["name"])) if one["name"] in wanted else one for one in kept]
        return [*changed, *(one for one in manifest if one["name"] not in known)]
    return copy.deepcopy(manifest)


def merged(before: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386): null removes, lists are replaced."""
    return _with_members(before, patch, merged)


def strategically_merged(before: Any, patch: Any) -> Any:
    """Like :func:`merged`, but lists of named members are merged by name, and ``$patch: delete`` removes one."""
    if _named(patch) and _named(before):
        changes = {one["name"]: one for one in patch}
        known = {one["name"] for one in before}
        kept = [one for one in before if changes.get(one["name"], {}).get("$patch") != "delete"]
        changed = [strategically_merged(one, changes[one["name"]]) if one["name"] in changes else one for one in kept]
        return [*changed, *(one for one in patch if one["name"] not in known)]
    return _with_members(before, patch, strategically_merged)


def _with_members(before: Any, patch: Any, inner: Callable[[Any, Any], Any]) -> Any:
    """Each member of *patch* put into *before* by *inner*; null removes one, and what is no object is replaced whole."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(before) if isinstance(before, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = inner(result.get(name), value)
    return result


def operated(before: Any, operations: list[dict[str, Any]]) -> Any:
    """
    JSON patch (RFC 6902): add, replace, remove and test.

    Raises:
        PatchError: A path is not there, or a test failed.
    """
    result = copy.deepcopy(before)
    for one in operations:
        *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in one["path"].split("/")[1:]]
        place = result
        try:
            for step in steps:
                place = place[int(step)] if isinstance(place, list) else place[step]
            _operate(place, last, one)
        except (KeyError, IndexError, ValueError) as error:
            raise PatchError(f"{one['op']} {one['path']}: {error}") from error
    return result


def _operate(place: Any, last: str, one: dict[str, Any]) -> None:
    if isinstance(place, list):
        key: Any = len(place) if last == "-" else int(last)
    else:
        key = last
    match one["op"]:
        case "add" if isinstance(place, list):
            place.insert(key, one["value"])
        case "add":
            place[key] = one["value"]
        case "replace":
            place[key]
            place[key] = one["value"]
        case "remove":
            del place[key]
        case "test" if place[key] != one["value"]:
            raise ValueError("it is not so")


def _named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "name" in one for one in value)
