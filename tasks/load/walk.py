"""Walking a journey, in plain Python: which one, and what fills the variables of its requests."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

VARIABLE = re.compile(r"\{([a-z][a-z0-9_]{0,30})\}")


class Weighted(Protocol):
    """What is chosen by weight."""

    @property
    def weight(self) -> float:
        """Relative to the others."""


class Template(Protocol):
    """A request with variables in it."""

    @property
    def path(self) -> str:
        """Path and query, with variables as ``{name}``."""

    @property
    def body(self) -> Mapping[str, Any] | None:
        """A JSON body whose text values may hold variables."""


Chosen = TypeVar("Chosen", bound=Weighted)


def choose(journeys: Sequence[Chosen], rng: random.Random) -> Chosen:
    """One of *journeys*, with a chance in proportion to its weight."""
    if len(journeys) == 1:
        return journeys[0]
    return rng.choices(journeys, [journey.weight for journey in journeys])[0]


def fill_path(request: Template, values: Mapping[str, str]) -> str:
    """
    The path with its variables filled in and percent-encoded.

    Raises:
        KeyError: A variable has no value.
    """
    return VARIABLE.sub(lambda match: quote(values[match[1]], safe=""), request.path)


def fill_body(request: Template, values: Mapping[str, str]) -> dict[str, Any] | None:
    """
    The body with the variables of its text values filled in; None stays None.

    Raises:
        KeyError: A variable has no value.
    """
    if request.body is None:
        return None
    return {
        key: VARIABLE.sub(lambda match: values[match[1]], value) if isinstance(value, str) else value for key, value in request.body.items()
    }


def learnt(reply: Any, field: str) -> tuple[str, ...]:
    """The values of *field* in a JSON *reply* that is a list of objects; empty when it is anything else."""
    if not isinstance(reply, list):
        return ()
    return tuple(str(item[field]) for item in reply if isinstance(item, dict) and isinstance(item.get(field), str | int))
