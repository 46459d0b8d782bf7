"""Requests to the fake API server: who may, what is meant, and what comes of it."""

from __future__ import annotations

import base64
import json
import ssl
import time
from bisect import bisect_right
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tasks.kube.permission import Permission
from tests.kube import merging
from tests.kube.kinds import Kind
from tests.kube.objects import Key, Refused, not_found
from tests.kube.selecting import selects
from tests.kube.streams import Streams
from tests.kube.trouble import Cut, Fail, Say, Seen, Stall

SCALED = ("Deployment", "StatefulSet", "ReplicaSet")


class Handler(Streams):
    """One connection, request by request."""

    def do_GET(self) -> None:  # noqa: N802 -- its name in the base
        """Every method is answered the same way."""
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        seen = Seen(self.command, unquote(parts.path), query, body, headers, time.monotonic())
        self.api.requests.append(seen)
        try:
            self._answer(seen)
        except Refused as refused:
            self.refuse(Fail(refused.status, refused.message, refused.reason), refused.details)
        self.wfile.flush()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _answer(self, seen: Seen) -> None:
        act = self.api.plan.take(seen)
        if isinstance(act, Fail):
            self.refuse(act)
            return
        if isinstance(act, Say):
            self.send(200, act.body)
            return
        if isinstance(act, (Cut, Stall)):
            self.limit(act)
        if not self._let_in(seen):
            raise Refused(401, "Unauthorized", "Unauthorized")
        self.check(seen)
        if seen.path in self.api.texts:
            text = self.api.texts[seen.path]
            self.send(200, (text if isinstance(text, str) else text(seen)).encode(), "text/plain")
        elif seen.path.startswith(("/api/v1/", "/apis/")) and seen.path.count("/") > (2 if seen.path.startswith("/api/") else 3):
            self._resource(seen)
        else:
            self.send_json(200, self._discovery(seen.path))

    def _let_in(self, seen: Seen) -> bool:
        if isinstance(self.request, ssl.SSLSocket) and self.request.getpeercert():
            return True
        return self.api.bearer is None or seen.headers.get("authorization") == f"Bearer {self.api.bearer}"

    def _discovery(self, path: str) -> dict[str, Any]:
        if path in ("/version", "/version/"):
            return {"major": "1", "minor": "36", "gitVersion": "v1.36.3"}
        steps = path.strip("/").split("/")
        version = "/".join(steps[1:])
        found = [kind for kind in self.api.kinds if kind.api_version == version and (steps[0] == "apis") == bool(kind.group)]
        if not found:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        resources = [{"name": one.plural, "kind": one.kind, "namespaced": one.namespaced, "verbs": []} for one in found]
        resources += [{"name": f"{one.plural}/scale", "kind": "Scale", "namespaced": True} for one in found if one.kind in SCALED]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}

    # -- resources -------------------------------------------------------------------------------------------------------------

    def _resource(self, seen: Seen) -> None:
        steps = [unquote(step) for step in seen.path.strip("/").split("/")]
        version, rest = (steps[1], steps[2:]) if steps[0] == "api" else ("/".join(steps[1:3]), steps[3:])
        if rest[0].startswith("selfsubjectaccessreview"):
            self._review(seen)
            return
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = next((one for one in self.api.kinds if one.api_version == version and one.plural == rest[0]), None)
        if kind is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        name, subresource = [*rest[1:3], "", ""][:2]
        key: Key = (self.api.collection(kind), namespace, name)
        if subresource in ("log", "exec"):
            self.log(seen, key) if subresource == "log" else self.execute(seen, key)
        elif not name and seen.method == "GET":
            self.watch(seen, key[0], namespace, kind) if seen.watches else self._list(seen, key[0], namespace, kind)
        elif seen.method == "GET":
            self.send_json(200, self._scale(self.there(key).item) if subresource == "scale" else self.there(key).item)
        elif seen.method == "POST" and not subresource:
            self._create(seen, key, kind)
        elif seen.method == "PATCH":
            self._patch(seen, key, kind, subresource)
        elif seen.method == "DELETE":
            self._delete(seen, key)
        else:
            raise Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _review(self, seen: Seen) -> None:
        asked = json.loads(seen.body)["spec"]["resourceAttributes"]
        wanted = Permission(
            *(asked[name] for name in ("verb", "group", "resource", "subresource")), asked["namespace"] or None, asked["name"]
        )
        self.send_json(201, {"kind": "SelfSubjectAccessReview", "status": {"allowed": self.may(wanted)}})

    def _list(self, seen: Seen, collection: str, namespace: str, kind: Kind) -> None:
        objects = self.api.objects
        with objects.changed:
            version, last = objects.version, ("", "", "")
            if seen.asked("continue"):
                version, *last = json.loads(base64.b64decode(seen.asked("continue")))
                if version < objects.oldest:
                    raise Refused(410, "Expired", "The provided continue parameter is too old to display a consistent list result")
            found = objects.members(collection, namespace or None)
        labels, fields = seen.asked("labelSelector"), seen.asked("fieldSelector")
        rest = found[bisect_right(found, tuple(last), key=lambda pair: pair[0]) :]
        chosen = [(key, one) for key, one in rest if not (labels or fields) or selects(labels, fields, one.item)]
        limit = int(seen.asked("limit") or 0) or len(chosen)
        page, more = chosen[:limit], ""
        if len(chosen) > limit:
            more = base64.b64encode(json.dumps([version, *page[-1][0]]).encode()).decode()
        head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": {"resourceVersion": str(version), "continue": more}}
        self.send(200, json.dumps(head).encode()[:-1] + b',"items":[' + b",".join(one.raw for _, one in page) + b"]}")

    def _writable(self, key: Key, kind: Kind) -> None:
        """A namespace has to be there, and to stay, for something new in it."""
        if not kind.namespaced:
            return
        namespace = self.api.objects.get(("namespaces", "", key[1]))
        if namespace is None:
            raise not_found(("namespaces", "", key[1]))
        if "deletionTimestamp" in namespace.item["metadata"]:
            message = f"unable to create new content in namespace {key[1]} because it is being terminated"
            raise Refused(403, "Forbidden", f'{key[0]} "{key[2]}" is forbidden: {message}', causes=[{"reason": "NamespaceTerminating"}])

    def _create(self, seen: Seen, key: Key, kind: Kind) -> None:
        item = self._parsed(seen)
        key = (key[0], key[1], item["metadata"]["name"])
        self._writable(key, kind)
        self.check_given({**item, "metadata": {"namespace": key[1], **item["metadata"]}} if key[1] else item)
        if self.api.objects.get(key) is not None:
            raise Refused(409, "AlreadyExists", f'{key[0]} "{key[2]}" already exists')
        self.send_json(201, self.api.objects.put(key, kind, item, dry_run=seen.asked("dryRun") == "All"))

    def _patch(self, seen: Seen, key: Key, kind: Kind, subresource: str) -> None:
        change, how, dry_run = self._parsed(seen), seen.headers.get("content-type", ""), seen.asked("dryRun") == "All"
        if how == "application/apply-patch+yaml":
            new = self.api.objects.get(key) is None
            if new:
                self._writable(key, kind)
                self.check(Seen("POST", seen.path.rpartition("/")[0], {}, b"", {}, 0.0))
            self.check_given(change)
            found = self.api.objects.apply(key, kind, change, seen.asked("fieldManager"), dry_run=dry_run)
            self.send_json(201 if new else 200, found)
            return
        item = self.there(key).item
        if subresource == "scale":
            replicas = merging.merged(self._scale(item), change)["spec"]["replicas"]
            found = self.api.objects.put(key, kind, {**item, "spec": {**item["spec"], "replicas": replicas}}, dry_run=dry_run)
            self.send_json(200, self._scale(found))
            return
        try:
            result = {
                "application/merge-patch+json": merging.merged,
                "application/strategic-merge-patch+json": merging.strategically_merged,
                "application/json-patch+json": merging.operated,
            }[how](item, change)
        except merging.PatchError as error:
            raise Refused(422, "Invalid", str(error)) from error
        metadata = change.get("metadata") or {} if isinstance(change, dict) else {}
        result["metadata"] = {**result["metadata"], "resourceVersion": metadata.get("resourceVersion")}
        self.send_json(200, self.api.objects.put(key, kind, result, dry_run=dry_run))

    @staticmethod
    def _scale(item: dict[str, Any]) -> dict[str, Any]:
        ready = (item.get("status") or {}).get("replicas", 0)
        names = {name: item["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
        spec = {"replicas": item["spec"].get("replicas", 1)}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": names, "spec": spec, "status": {"replicas": ready}}

    def _delete(self, seen: Seen, key: Key) -> None:
        item = self.there(key).item if seen.dry_run else self.api.objects.delete(key)
        self.send_json(200, item)

    @staticmethod
    def _parsed(seen: Seen) -> Any:
        try:
            return json.loads(seen.body)
        except ValueError as error:
            raise Refused(400, "BadRequest", f"the body is no JSON: {error}") from error
