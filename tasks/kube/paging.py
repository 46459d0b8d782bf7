"""A collection, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tasks.kube.errors import Gone, Unavailable

PAGE = 500
BEGINNINGS = 5
"""A list that is forgotten more often than we read it is given up."""


def query_of(labels: str, fields: str, page: int, token: str = "") -> dict[str, str]:
    """The query of one page."""
    return {"labelSelector": labels, "fieldSelector": fields, "limit": str(page), "continue": token}


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a collection."""

    rest: list[dict[str, Any]]
    """Objects that were not taken yet, the next one last; each with its own kind, which lists leave out."""
    token: str
    """To ask for the next one with; empty: this was the last."""
    version: str
    """The collection's, to watch from."""

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        """
        What the server's reply holds.

        Raises:
            Unavailable: It is no list of objects.
        """
        try:
            kind = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
            items = [{**kind, **item} for item in found["items"] or ()]
            for item in items:
                item["metadata"]["name"]
            items.reverse()
            return cls(items, str(found["metadata"].get("continue") or ""), str(found["metadata"].get("resourceVersion") or ""))
        except (KeyError, TypeError, AttributeError) as error:
            raise Unavailable("the server's reply is no list of objects", next_step="is it an API server?") from error

    def taken(self) -> Iterator[dict[str, Any]]:
        """Its objects, each let go of when it is given: two pages are never in memory."""
        while self.rest:
            yield self.rest.pop()


def listed(get: Callable[[Mapping[str, str]], dict[str, Any]], *, labels: str, fields: str, page: int) -> Iterator[dict[str, Any]]:
    """
    Every object once, with its kind; begun anew when the server forgot where we were.

    Raises:
        Unavailable: It forgot again and again.
    """
    told: set[str] = set()
    for _ in range(BEGINNINGS):
        token, more = "", True
        while more:
            try:
                found = Page.of(get(query_of(labels, fields, page, token)))
            except Gone:
                if not token:
                    raise
                break
            for item in found.taken():
                identity = item["metadata"].get("uid") or f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
                if identity not in told:
                    told.add(identity)
                    yield item
            token = found.token
            more = bool(token)
        else:
            return
    raise Unavailable("the server forgets lists faster than they are read", status=410, next_step="ask for fewer objects: by a selector")
