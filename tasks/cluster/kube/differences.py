"""
Whether an object is as it was asked for, though the server adds defaults, writes amounts its own way and lets others manage fields.

Two questions: is everything that is wanted there, and is there nothing of ours any more that is not wanted? The second one is
answered by the list of managed fields that server-side apply keeps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.kube.quantity import quantity

MANAGER = "tidegauge"
_NAMES = ("name", "mountPath", "devicePath", "containerPort", "port", "key", "ip", "topologyKey")
"""What tells the items of a list apart, where the API merges lists instead of replacing them."""
_AMOUNTS = frozenset({"limits", "requests", "hard", "capacity", "sizeLimit", "min", "max", "default", "defaultRequest", "averageValue"})
_LEFT_OUT = frozenset({"status", "creationTimestamp", "managedFields", "resourceVersion", "uid", "generation"})
"""What nobody asks for."""
_ABSENT = (None, "", 0, False)
MISSING = object()
SHOWN = 3


def why_different(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """In words what of *found* is not as *wanted*; None when everything is."""
    paths = [*dict.fromkeys(differences(wanted, found)), *dict.fromkeys(unwanted(wanted, found))]
    if not paths:
        return None
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return f"differs in {', '.join(paths[:SHOWN])}{more}"


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where *found* is not as *wanted*, as ``spec.replicas``; what only *found* has does not count."""
    if found is MISSING:
        if not _empty(wanted):
            yield path
    elif isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name, value in wanted.items():
            if name not in _LEFT_OUT or path not in ("", "metadata"):
                yield from differences(value, found.get(name, MISSING), f"{path}.{name}" if path else str(name))
    elif isinstance(wanted, list) and isinstance(found, list):
        yield from _in_lists(wanted, found, path)
    elif not _same(wanted, found, path):
        yield path


def _in_lists(wanted: Sequence[Any], found: Sequence[Any], path: str) -> Iterator[str]:
    name = _name_of(wanted, found)
    if name is None:
        if len(wanted) != len(found):
            yield path
        for position, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from differences(one, other, f"{path}[{position}]")
        return
    there = {_identity(item, name): item for item in found}
    for item in wanted:
        yield from differences(item, there.get(_identity(item, name), MISSING), f"{path}[{item[name]}]")


def _name_of(wanted: Sequence[Any], found: Sequence[Any]) -> str | None:
    """The key that tells the items of both lists apart; None when there is none."""
    items = [*wanted, *found]
    if not wanted or not all(isinstance(item, dict) for item in items):
        return None
    return next((name for name in _NAMES if all(name in item for item in items) and _unique(wanted, name) and _unique(found, name)), None)


def _unique(items: Sequence[Any], name: str) -> bool:
    return all(isinstance(item[name], str | int) for item in items) and len({_identity(item, name) for item in items}) == len(items)


def _identity(item: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    """Ports are told apart by their protocol too, which is TCP when it is not said."""
    return (item[name], item.get("protocol") or "TCP") if name in ("port", "containerPort") else (item[name],)


def _same(wanted: Any, found: Any, path: str) -> bool:
    if wanted == found and isinstance(wanted, bool) == isinstance(found, bool):
        return True
    if any(step in _AMOUNTS for step in path.split(".")):
        amount = quantity(wanted)
        return amount is not None and amount == quantity(found)
    return _empty(wanted) and _empty(found)


def _empty(value: Any) -> bool:
    """Whether the server leaves it out; a mapping counts by what is in it."""
    if isinstance(value, Mapping):
        return all(_empty(inner) for inner in value.values())
    if isinstance(value, list):
        return not value
    return any(value == one and type(value) is type(one) for one in _ABSENT)


def unwanted(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """What of *found* we manage though it is not *wanted* any more, as ``spec.template.spec.containers[web].env``."""
    for entry in (found.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            yield from _gone(entry.get("fieldsV1") or {}, wanted, "")


def applied_by_us(found: Mapping[str, Any]) -> bool:
    """Whether something of *found* is managed by what we applied; where nobody's fields are listed, its labels are believed."""
    entries = (found.get("metadata") or {}).get("managedFields") or ()
    return not entries or any(entry.get("manager") == MANAGER and entry.get("operation") == "Apply" for entry in entries)


def _gone(fields: Mapping[str, Any], wanted: Any, path: str) -> Iterator[str]:
    for step, inner in fields.items():
        kind, _, name = step.partition(":")
        if kind == "f":
            here = wanted.get(name, MISSING) if isinstance(wanted, Mapping) else MISSING
            there = f"{path}.{name}" if path else name
        elif kind == "k":
            keys = json.loads(name)
            here = next((item for item in wanted if _is(item, keys)), MISSING) if isinstance(wanted, list) else MISSING
            there = f"{path}[{next(iter(keys.values()), '')}]"
        elif kind == "v":
            here, there = (True if isinstance(wanted, list) and json.loads(name) in wanted else MISSING), f"{path}[{name}]"
        else:
            continue
        if here is MISSING:
            yield there
        else:
            yield from _gone(inner or {}, here, there)


def _is(item: Any, keys: Mapping[str, Any]) -> bool:
    """Whether *item* has these keys; what it does not say is what the server takes for it."""
    return isinstance(item, Mapping) and all(item.get(name, value) == value for name, value in keys.items())
