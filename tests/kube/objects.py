"""The objects of the fake API server: their versions, their history, and what ends with what."""

from __future__ import annotations

import copy
import itertools
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.kube.kinds import Kind
from tests.kube.merging import applied

Key = tuple[str, str, str]
"""Plural with its group, namespace (empty: none), name."""


class Refused(Exception):
    """The server says no."""

    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.details = status, reason, message, details


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of an object; never changed."""

    item: dict[str, Any]
    raw: bytes
    """Its JSON as a member of a list: without kind and API version."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the history."""

    version: int
    key: Key
    before: Stored | None
    after: Stored | None
    """None: it is gone."""
    last: Stored
    """What is shown of it: itself, or of a removed one its last state with the version of its end."""


@dataclass
class Objects:
    """Everything there is, under one lock; ``changed`` is notified at each step."""

    controllers: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    """Called, without the lock, with each object that was made or changed."""

    def __post_init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.history: list[Change] = []
        self.oldest = 0
        """Versions before it are forgotten."""
        self._versions = itertools.count(1)
        self.version = 0
        self._there: dict[Key, Stored] = {}
        self._sorted: dict[tuple[str, str | None], tuple[int, list[tuple[Key, Stored]]]] = {}
        """Collections as they were at a version; never changed."""
        self._owned: dict[tuple[Key, str], dict[str, Any]] = {}

    # -- looking ---------------------------------------------------------------------------------------------------------------

    def get(self, key: Key) -> Stored | None:
        """The object at *key*."""
        with self.changed:
            return self._there.get(key)

    def members(self, plural: str, namespace: str | None) -> list[tuple[Key, Stored]]:
        """A collection in the order of its keys; None: of all namespaces. Not sorted anew for each page of a list."""
        with self.changed:
            version, found = self._sorted.get((plural, namespace), (-1, []))
            if version != self.version:
                found = [(key, one) for key, one in self._there.items() if key[0] == plural and namespace in (None, key[1])]
                found.sort(key=lambda pair: pair[0])
                self._sorted[plural, namespace] = self.version, found
        return found

    def since(self, version: int) -> list[Change]:
        """The steps after *version*."""
        with self.changed:
            return [step for step in self.history if step.version > version]

    def forget(self) -> None:
        """Compact: watches and continued lists from now or before are answered 410 once something has changed."""
        with self.changed:
            self.oldest = next(self._versions)
            self.version = self.oldest
            self.history.clear()
            self.changed.notify_all()

    # -- changing --------------------------------------------------------------------------------------------------------------

    def put(self, key: Key, kind: Kind, item: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """
        Make the object at *key* be *item*, whether or not there is one; the server's own fields are its business.

        Raises:
            Refused: *item* names another version than the one that is there.
        """
        with self.changed:
            before = self._there.get(key)
            item = self._finished(key, kind, copy.deepcopy(item), before)
            if before is not None and _plain(before.item) == _plain(item):
                return before.item
            if dry_run:
                return item
            self._step(key, before, item)
            if before is not None and "deletionTimestamp" in item["metadata"] and not item["metadata"].get("finalizers"):
                self._remove(key)
        for controller in tuple(self.controllers):
            controller(item)
        return item

    def apply(self, key: Key, kind: Kind, manifest: dict[str, Any], manager: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Lay *manifest* over the object at *key*; what *manager* had applied and leaves out now goes."""
        with self.changed:
            before = self._there.get(key)
            result = applied({} if before is None else before.item, manifest, self._owned.get((key, manager), {}))
            if not dry_run:
                self._owned[key, manager] = copy.deepcopy(manifest)
        return self.put(key, kind, result, dry_run=dry_run)

    def delete(self, key: Key) -> dict[str, Any]:
        """
        Begin the end of the object at *key*: it lingers while it has finalizers, a namespace while there is something in it.

        Raises:
            Refused: It is not there.
        """
        with self.changed:
            before = self._there.get(key)
            if before is None:
                raise not_found(key)
            item = copy.deepcopy(before.item)
            item["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            if key[0] == "namespaces":
                item["status"] = {**item.get("status", {}), "phase": "Terminating"}
            if _plain(before.item) != _plain(item) and (item["metadata"].get("finalizers") or key[0] == "namespaces"):
                self._step(key, before, item)
            for inside in [one for one in self._there if key[0] == "namespaces" and one[1] == key[2]]:
                if inside in self._there:
                    self.delete(inside)
            self._remove(key)
        return item

    def _finished(self, key: Key, kind: Kind, item: dict[str, Any], before: Stored | None) -> dict[str, Any]:
        """What the server adds."""
        metadata = item.setdefault("metadata", {})
        given = metadata.get("resourceVersion")
        there = None if before is None else before.item["metadata"]
        if given and (there is None or given != there["resourceVersion"]):
            raise Refused(409, "Conflict", f'Operation cannot be fulfilled on {key[0]} "{key[2]}": the object has been modified')
        metadata["name"] = key[2]
        if kind.namespaced:
            metadata["namespace"] = key[1]
        metadata["uid"] = str(uuid.uuid4()) if there is None else there["uid"]
        metadata["creationTimestamp"] = (
            metadata.get("creationTimestamp") or (there or {}).get("creationTimestamp") or "2026-01-01T00:00:00Z"
        )
        metadata["resourceVersion"] = "" if there is None else there["resourceVersion"]
        specs_differ = before is not None and before.item.get("spec") != item.get("spec")
        metadata["generation"] = 1 if there is None else there.get("generation", 1) + int(specs_differ)
        if key[0] == "namespaces" and "status" not in item:
            item["status"] = {"phase": "Active"}
        return {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            **{name: item[name] for name in item if name not in ("apiVersion", "kind")},
        }

    def _step(self, key: Key, before: Stored | None, item: dict[str, Any]) -> None:
        self.version = next(self._versions)
        item["metadata"]["resourceVersion"] = str(self.version)
        after = stored(item)
        self._there[key] = after
        self.history.append(Change(self.version, key, before, after, after))
        self.changed.notify_all()

    def _remove(self, key: Key) -> None:
        """Take away the object at *key* if nothing keeps it, and what it owned."""
        before = self._there.get(key)
        if before is None or before.item["metadata"].get("finalizers"):
            return
        if key[0] == "namespaces" and any(one[1] == key[2] for one in self._there):
            return
        self.version = next(self._versions)
        last = copy.deepcopy(before.item)
        last["metadata"]["resourceVersion"] = str(self.version)
        del self._there[key]
        self._owned = {place: what for place, what in self._owned.items() if place[0] != key}
        self.history.append(Change(self.version, key, before, None, stored(last)))
        self.changed.notify_all()
        for owned in list(self._owned_by(before.item["metadata"]["uid"])):
            if owned in self._there:
                self.delete(owned)
        namespace: Key = ("namespaces", "", key[1])
        if key[1] and namespace in self._there and "deletionTimestamp" in self._there[namespace].item["metadata"]:
            self._remove(namespace)

    def _owned_by(self, uid: str) -> Iterator[Key]:
        for key, one in list(self._there.items()):
            if any(owner.get("uid") == uid for owner in one.item["metadata"].get("ownerReferences") or ()):
                yield key


def stored(item: dict[str, Any]) -> Stored:
    """*item* with its text."""
    member = {name: value for name, value in item.items() if name not in ("apiVersion", "kind")}
    return Stored(item, json.dumps(member, separators=(",", ":")).encode())


def not_found(key: Key) -> Refused:
    """404 in the server's words."""
    return Refused(404, "NotFound", f'{key[0]} "{key[2]}" not found', name=key[2], kind=key[0])


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    """Without the server's own counters."""
    metadata = {name: value for name, value in item["metadata"].items() if name not in ("resourceVersion", "generation")}
    return {**item, "metadata": metadata}
