"""Whether an object is built as the rest of the code expects it: mappings where there are mappings, lists where there are lists. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.app.kube.kinds import inner, template_at
from tasks.base.mistakes import shown
from tasks.base.yaml_events import Loc

Problem = tuple[Loc, str]
WORDS: tuple[Loc, ...] = (("apiVersion",), ("kind",), ("metadata", "name"))
LISTS_OF_PODS = ("initContainers", "containers", "volumes")


def misshapen(value: Mapping[str, Any]) -> list[Problem]:
    """What is not as every object is, with its place; empty when the rest can be looked at."""
    found = [*_words(value), *_metadata(value, ())]
    spec = inner(value, ("spec",))
    if "spec" in value and spec is not None and not isinstance(spec, Mapping):
        return [*found, (("spec",), f"must be a mapping, not {shown(spec)}")]
    if isinstance(spec, Mapping):
        found += [*_list(value, ("spec", "volumeClaimTemplates")), *_list(value, ("spec", "ports"))]
        found += [*_mapping(value, ("spec", "selector"))]
        found += [
            problem
            for index in range(_length(value, ("spec", "volumeClaimTemplates")))
            for problem in _metadata(value, ("spec", "volumeClaimTemplates", index))
        ]
    template = template_at(value)
    return found if found or template is None else [*_template(value, template)]


def _words(value: Mapping[str, Any]) -> Iterator[Problem]:
    for loc in WORDS:
        word = inner(value, loc)
        if isinstance(word, str) and word:
            continue
        if word is not None:
            yield loc, f"must be text, not {shown(word)}"
        elif inner(value, ("metadata", "generateName")) is not None and loc == WORDS[-1]:
            yield ("metadata", "generateName"), "is not enough: what is made must be found again, so write a name"
        else:
            yield loc[:-1], f"{'.'.join(map(str, loc))} is missing"


def _metadata(value: Mapping[str, Any], at: Loc) -> Iterator[Problem]:
    yield from _mapping(value, (*at, "metadata"))
    for name in ("labels", "annotations"):
        loc = (*at, "metadata", name)
        yield from _mapping(value, loc)
        texts = inner(value, loc)
        for key, text in texts.items() if isinstance(texts, Mapping) else ():
            if text is not None and not isinstance(text, str):
                yield (*loc, key), f"must be text, not {shown(text)}; put it in quotes"


def _template(value: Mapping[str, Any], template: Loc) -> Iterator[Problem]:
    if template and not isinstance(inner(value, template), Mapping):
        yield template[:1], f"{'.'.join(map(str, template))} is missing"
        return
    yield from _metadata(value, template) if template else ()
    spec: Loc = (*template, "spec")
    if not isinstance(inner(value, spec), Mapping):
        yield template, f"{'.'.join(map(str, spec))} is missing"
        return
    for name in LISTS_OF_PODS:
        yield from _list(value, (*spec, name))
        for index in range(_length(value, (*spec, name))):
            yield from _container(value, (*spec, name, index)) if name != "volumes" else ()


def _container(value: Mapping[str, Any], at: Loc) -> Iterator[Problem]:
    yield from _list(value, (*at, "ports"))
    yield from _mapping(value, (*at, "securityContext"))
    yield from _mapping(value, (*at, "securityContext", "capabilities"))
    added = inner(value, (*at, "securityContext", "capabilities", "add"))
    if added is not None and not isinstance(added, list):
        yield (*at, "securityContext", "capabilities", "add"), f"must be a list, not {shown(added)}"


def _mapping(value: Mapping[str, Any], loc: Loc) -> Iterator[Problem]:
    found = inner(value, loc)
    if found is not None and not isinstance(found, Mapping):
        yield loc, f"must be a mapping, not {shown(found)}"


def _list(value: Mapping[str, Any], loc: Loc) -> Iterator[Problem]:
    """A list of mappings, or nothing."""
    found = inner(value, loc)
    if found is None:
        return
    if not isinstance(found, list):
        yield loc, f"must be a list, not {shown(found)}"
        return
    yield from (((*loc, index), f"must be a mapping, not {shown(one)}") for index, one in enumerate(found) if not isinstance(one, Mapping))


def _length(value: Mapping[str, Any], loc: Loc) -> int:
    found = inner(value, loc)
    return len(found) if isinstance(found, list) else 0
