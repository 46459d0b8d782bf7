"""The series of a recording: their identity, their numbers, and the table that gives them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tasks.base.files import canonical_json

Role = Literal["service", "container", "pod", "node", "harness"]
"""What a series is about; ``pod`` has the rows of a whole pod, which its containers' rows must not be added to."""
ROLES: tuple[Role, ...] = get_args(Role)
PLACES = frozenset({"instance", "port"})
"""Labels that say where a process happens to listen; they are not part of a series' identity."""


@dataclass(frozen=True, slots=True)
class Series:
    """
    One logical time series: the same (service, name, labels) in every recording of an app.

    Its *id* holds within one recording only.
    """

    id: int
    name: str
    service: str
    role: Role
    labels: Mapping[str, str]


Key = tuple[str, str, str, str]


def key_of(role: str, service: str, name: str, labels: Mapping[str, str]) -> Key:
    """What tells two series apart; the order of *labels* does not matter."""
    return role, service, name, canonical_json(dict(labels))


class SeriesTable:
    """Gives each series its number, from 0 without holes, in order of first appearance."""

    def __init__(self, known: Iterable[Series] = ()) -> None:
        self._all: list[Series] = list(known)
        self._numbers = {key_of(one.role, one.service, one.name, one.labels): one.id for one in self._all}

    def __len__(self) -> int:
        return len(self._all)

    def number(self, role: Role, service: str, name: str, labels: Mapping[str, str]) -> int:
        """The number of this series; a new one when it was never seen."""
        key = key_of(role, service, name, labels)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._all)
            self._all.append(Series(number, name, service, role, dict(labels)))
        return number

    def since(self, first: int) -> Sequence[Series]:
        """All series from number *first* on."""
        return self._all[first:]

    def scraped(self, role: Role, target: str, name: str, labels: Mapping[str, str]) -> int:
        """
        The number of a series that *target* exposes.

        Labels that only name a port or an instance are left out. In role ``container`` the label ``container``
        becomes the service; rows without one belong to the target itself.
        """
        kept = {key: value for key, value in labels.items() if key not in PLACES}
        service = kept.pop("container", "") if role == "container" else target
        return self.number(role, service or target, name, kept)
