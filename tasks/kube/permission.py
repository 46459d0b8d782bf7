"""One right in words of the API's access control, and which one a request needs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Permission:
    """To do *verb* with a resource."""

    verb: str
    """``get``, ``list``, ``watch``, ``create``, ``patch``, ``delete``."""
    group: str
    """``apps``; empty for the core group."""
    resource: str
    """Plural, as in paths: ``deployments``."""
    subresource: str = ""
    """``log``, ``exec``, ``proxy``; empty for the resource itself."""
    namespace: str | None = None
    """None: in the whole cluster."""
    name: str = ""
    """One object alone; empty: all."""

    @property
    def what(self) -> str:
        """``pods/log``, as a Role names it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def __str__(self) -> str:
        """``patch deployments.apps in shop``."""
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        kind += f"/{self.subresource}" if self.subresource else ""
        one = f" {self.name}" if self.name else ""
        return f"{self.verb} {kind}{one} in {self.namespace or 'all namespaces'}"


def needed(method: str, path: str, *, watch: bool = False) -> Permission | None:
    """
    What a request needs, by the API server's own rules; None where everybody who is logged in may (discovery, the version).

    Args:
        method: ``GET`` and the like.
        path: REST path without query.
        watch: Whether the query asks for a watch.
    """
    steps = [unquote(step) for step in path.split("/") if step]
    if steps[:1] == ["api"] and len(steps) > 2:
        group, rest = "", steps[2:]
    elif steps[:1] == ["apis"] and len(steps) > 3:
        group, rest = steps[1], steps[3:]
    else:
        return None
    namespace = rest[1] if rest[0] == "namespaces" and len(rest) > 1 else None  # of the namespace itself as well
    if namespace is not None and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    resource, name, subresource = [*rest, "", ""][:3]
    return Permission(_verb(method, name, watch=watch), group, resource, subresource, namespace, name)


def _verb(method: str, name: str, *, watch: bool) -> str:
    if method in ("GET", "HEAD"):
        return "watch" if watch else "get" if name else "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return _VERBS[method]
