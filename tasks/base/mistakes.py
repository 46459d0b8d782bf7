"""From pydantic's complaints to sentences for the person who wrote the document: what was expected, what stands there, what is near."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from tasks.base.yaml_events import Loc
from tasks.base.yaml_source import Mistake, Source

IMAGE = (
    r"^[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9._-]+)*"
    r"(:(\{version\}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$"
)
"""Names of container images that mean the same tomorrow."""
PATTERNS = {
    r"^[a-z0-9][a-z0-9-]{0,62}$": "a lower-case name of letters, digits and dashes, at most 63 long",
    r"^/[^\s#]*$": "an absolute path that begins with /, without spaces",
    r"^[^:\s]+:.+$": "name:password",
    r"^recording/[0-9a-f]{32}$": "the reference of a recording, recording/ and 32 hexadecimal digits",
    r"^[a-z][a-z0-9_]{0,30}$": "a lower-case name of letters, digits and underscores",
    IMAGE: "the name of an image with a tag or digest, as in example.org/shop:1.2 or shop@sha256:...",
}
"""What the patterns of settings mean in words."""
_CLOCK = re.compile(r"\d{1,3}:\d\d(:\d\d)?")
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|sec|m|min|h|d|%)")
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "%": 0.01}


def mistakes_of(source: Source, error: ValidationError, model: type[BaseModel], *, only: str | None = None) -> list[Mistake]:
    """Every complaint of *error* (of type *only*) about *source*, which should have been a *model*, as a mistake with its place."""
    items = [dict(item) for item in error.errors() if only in (None, item["type"])]
    return [mistake for item in items for mistake in _mistakes(source, item, model)]


def _mistakes(source: Source, item: Mapping[str, Any], model: type[BaseModel]) -> Iterator[Mistake]:
    kind = item["type"]
    loc = in_document(source.value, item["loc"], keep_last=kind in ("missing", "extra_forbidden"))
    if any(loc[: len(there)] == there or (there[: len(loc)] == loc and kind == "value_error" and loc) for there, _ in source.wrong):
        return  # refused while reading already, or said of what stands for it
    if kind == "too_short" and len(_value_at(source.value, loc)) >= item["ctx"]["min_length"]:
        return  # there are enough, but some are wrong, as is told of them
    if kind in ("value_error", "assertion_error"):
        message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        several = not loc or loc[0] == "app"  # the checks that list what they find
        for sentence in re.split(r"; (?!did you mean)", message) if several else [message]:
            yield source.mistake(*_named_first(source, loc, sentence))
        return
    if kind == "union_tag_invalid":
        loc = (*loc, str(item["ctx"]["discriminator"]).strip("'"))
    yield source.mistake(loc, _sentence(kind, item, loc, source, model))


def _named_first(source: Source, loc: Loc, sentence: str) -> tuple[Loc, str]:
    """*loc* and *sentence*; where it begins with a setting inside *loc*, that setting's path, and the rest after a colon."""
    word = re.match(r"\w+", sentence)
    if word is None or ((*loc, word[0]) not in (*source.marks, *source.origins) and sentence != f"{word[0]}: is missing"):
        return loc, sentence
    return (*loc, word[0]), sentence.removeprefix(f"{word[0]}: ").removeprefix(
        f"{word[0]} " if sentence.startswith(f"{word[0]} must") else ""
    )


def _value_at(value: Any, loc: Loc) -> Any:
    for part in loc:
        value = value[part]
    return value


def _sentence(kind: str, item: Mapping[str, Any], loc: Loc, source: Source, model: type[BaseModel]) -> str:
    context, value = item.get("ctx", {}), item.get("input")
    if kind == "extra_forbidden":
        known = settings_at(model, loc[:-1], source.value)
        return "no such setting" + (nearest(str(loc[-1]), known) or (f"; there are {_listed(sorted(known))}" if known else ""))
    if kind == "union_tag_not_found":
        return _untold(str(context["discriminator"]).strip("'"), tags_at(model, loc), value)
    words = _WORDS.get(kind)
    return words(context, value) if words else f"{_plain(str(item['msg']))}, {_not(value)}"


def _untold(tag: str, choices: Sequence[str], value: Any) -> str:
    if not isinstance(value, dict):
        return f"must be a mapping with the setting {tag}, {_not(value)}"
    return f"needs the setting {tag}" + (f": one of {_listed(choices)}" if choices else "")


def _choice(context: Mapping[str, Any], value: Any) -> str:
    expected = str(context.get("expected") or context["expected_tags"])
    choices, found = re.findall(r"'([^']*)'", expected) or [expected], context.get("tag", value)
    wanted = choices[0] if len(choices) == 1 else f"one of {_listed(choices)}"
    return f"must be {wanted}, {_not(found)}{nearest(found, choices)}"


def _number(what: str) -> Callable[[Mapping[str, Any], Any], str]:
    def words(_: Mapping[str, Any], value: Any) -> str:
        return f"must be {what}, {_not(value)}{_number_hint(value)}"

    return words


def _number_hint(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if found := _WITH_UNIT.fullmatch(value):
        return f"; write {float(found[1]) * _UNITS[found[2]]:g}, the unit is part of the setting's name"
    if _CLOCK.fullmatch(value):
        return "; times of day are not used, write a number"
    try:
        float(value)
    except ValueError:
        return ""
    return "; leave the quotes out"


def _boolean(_: Mapping[str, Any], value: Any) -> str:
    hint = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower())
    return f"must be true or false, {_not(value)}" + (f"; write {hint}" if hint else "")


def _limit(words: str, name: str) -> Callable[[Mapping[str, Any], Any], str]:
    def text(context: Mapping[str, Any], value: Any) -> str:
        limit = context[name]
        return f"must be {words} {limit if isinstance(limit, int) else format(limit, 'g')}, {_not(value)}"

    return text


def _items(words: str, name: str) -> Callable[[Mapping[str, Any], Any], str]:
    def text(context: Mapping[str, Any], _: Any) -> str:
        count = context[name]
        return f"must have {words} {count} item{'' if count == 1 else 's'}, not {context.get('actual_length', 'so many')}"

    return text


def _pattern(context: Mapping[str, Any], value: Any) -> str:
    return f"must be {PATTERNS.get(context['pattern'], 'text of the form ' + context['pattern'])}, {_not(value)}"


def _mapping(_: Mapping[str, Any], value: Any) -> str:
    return f"must be a mapping of settings, {_not(value)}"


def _list(_: Mapping[str, Any], value: Any) -> str:
    return f"must be a list, {_not(value)}"


_WORDS: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "missing": lambda *_: "is missing",
    "literal_error": _choice,
    "enum": _choice,
    "union_tag_invalid": _choice,
    "float_type": _number("a number"),
    "int_type": _number("a whole number"),
    "int_from_float": _number("a whole number"),
    "bool_type": _boolean,
    "string_type": lambda _, value: f"must be text, {_not(value)}" + ("" if value is None else "; put it in quotes"),
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "dict_type": _mapping,
    "tuple_type": _list,
    "list_type": _list,
    "greater_than": _limit("greater than", "gt"),
    "greater_than_equal": _limit("at least", "ge"),
    "less_than": _limit("less than", "lt"),
    "less_than_equal": _limit("at most", "le"),
    "too_short": _items("at least", "min_length"),
    "too_long": _items("at most", "max_length"),
    "string_too_short": lambda context, _: f"must be text of at least {context['min_length']} characters",
    "string_too_long": lambda context, value: f"must be text of at most {context['max_length']} characters, not {len(str(value))}",
    "string_pattern_mismatch": _pattern,
}


def _not(value: Any) -> str:
    return "but is empty" if value is None else f"not {shown(value)}"


def shown(value: Any) -> str:
    """A value in a sentence: short, and told apart from a number when it is text."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return f"the text {value[:40]!r}" + ("..." if len(value) > 40 else "")
    return str(value)[:40]


def nearest(value: object, known: Sequence[str] | set[str]) -> str:
    """``; did you mean X?`` for the one of *known* that is nearest to *value*, or nothing."""
    found = difflib.get_close_matches(str(value)[:100], sorted(known), 1, 0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")


def _plain(message: str) -> str:
    return message.replace("Input should be", "must be")


def in_document(value: Any, loc: Sequence[str | int], *, keep_last: bool) -> Loc:
    """
    Where *loc* of a complaint is in the document *value*: tags of unions are not part of it.

    With *keep_last* its last part is the name of a setting even when there is no such key.
    """
    found: list[str | int] = []
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(value, dict) and part in value and (last or isinstance(value[part], dict | list | tuple)):  # else it is a tag
            value = value[str(part)]
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (keep_last and last):
            continue
        found.append(part)
    return tuple(found)


@lru_cache(maxsize=8)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def settings_at(model: type[BaseModel], loc: Loc, value: Any) -> set[str]:
    """Names of the settings that *model* knows at *loc* of the document *value*: those of the variant that is meant there."""
    schema, there = _schema(model), _value_at(value, loc)
    variants = [variant for place in _places(schema, loc) for variant in _variants(schema, place)]
    known = [variant.get("properties", {}) for variant in variants]
    meant = [
        settings
        for settings in known
        if all(there.get(name) in (None, one.get("const")) for name, one in settings.items() if "const" in one)
    ]
    return {name for settings in meant or known for name in settings}


def tags_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The names by which the variants at *loc* are told apart; empty when there is one only."""
    schema = _schema(model)
    variants = [variant for place in _places(schema, loc) for variant in _variants(schema, place)]
    found = [name for variant in variants for name in variant.get("discriminator", {}).get("mapping", ())]
    return list(dict.fromkeys(found))


def _places(schema: Mapping[str, Any], loc: Loc) -> list[Mapping[str, Any]]:
    places = [schema]
    for part in loc:
        places = [child for place in places for child in _children(schema, place, part)]
    return places


def _variants(schema: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in place:
        yield from _variants(schema, schema["$defs"][place["$ref"].rpartition("/")[2]])
        return
    yield place
    for group in ("oneOf", "anyOf", "allOf"):
        for inner in place.get(group, ()):
            yield from _variants(schema, inner)


def _children(schema: Mapping[str, Any], place: Mapping[str, Any], part: str | int) -> Iterator[Mapping[str, Any]]:
    for variant in _variants(schema, place):
        if isinstance(part, int):
            yield from (variant[name] for name in ("items",) if isinstance(variant.get(name), dict))
            yield from variant.get("prefixItems", ())[part : part + 1]
        elif part in variant.get("properties", {}):
            yield variant["properties"][part]
