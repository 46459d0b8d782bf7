"""From a kind to its REST path, as the API server itself tells it; asked once for each group and version."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tasks.kube.errors import Invalid, NotFound, Unavailable
from tasks.kube.refs import ObjectRef


@dataclass(frozen=True, slots=True)
class Resource:
    """How a kind is called in paths."""

    root: str
    """``/api/v1``, ``/apis/apps/v1``."""
    plural: str
    namespaced: bool


class Discovery:
    """What the server knows, remembered."""

    def __init__(self, get: Callable[[str], dict[str, Any]]) -> None:
        self._get = get
        self._known: dict[str, dict[str, Resource]] = {}
        self._lock = threading.Lock()

    def resource(self, api_version: str, kind: str) -> Resource:
        """
        How *kind* is called; a kind that is not known is asked for anew, since its definition may just have come.

        Raises:
            NotFound: The server does not know it.
        """
        with self._lock:
            found = self._known.get(api_version, {}).get(kind)
            if found is None:
                self._known[api_version] = kinds = self._asked(api_version)
                found = kinds.get(kind)
        if found is None:
            near = difflib.get_close_matches(kind, kinds, 1)
            hint = f"did you mean {near[0]}?" if near else f"install what defines {kind}, or mend `apiVersion`"
            raise NotFound(f"the cluster knows no {kind} in {api_version}", status=404, reason="NotFound", next_step=hint)
        return found

    def _asked(self, api_version: str) -> dict[str, Resource]:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            said = self._get(root)
        except NotFound:
            return {}
        try:
            mains = [one for one in said["resources"] if "/" not in one["name"]]
            return {one["kind"]: Resource(root, one["name"], bool(one["namespaced"])) for one in mains}
        except (KeyError, TypeError) as error:
            raise Unavailable(f"GET {root}: the reply is no list of kinds", next_step="is it an API server?") from error

    def collection(self, ref: ObjectRef) -> str:
        """
        Where objects like *ref* are listed and created.

        Raises:
            NotFound: No such kind.
            Invalid: A namespace is missing.
        """
        found = self.resource(ref.api_version, ref.kind)
        if not found.namespaced:
            return f"{found.root}/{found.plural}"
        if ref.namespace is None:
            raise Invalid(f"{ref} names no namespace", reason="Invalid", next_step="add metadata.namespace")
        return f"{found.root}/namespaces/{quote(ref.namespace, safe='')}/{found.plural}"

    def path(self, ref: ObjectRef) -> str:
        """Where the object *ref* is; raises like :meth:`collection`."""
        return f"{self.collection(ref)}/{quote(ref.name, safe='')}"
