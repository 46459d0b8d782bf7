"""From what is wanted to what is applied: a namespace for each object, our labels, and what is never let through."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.base.errors import DocumentError, PreflightError
from tasks.cluster.kube.kinds import CLUSTER_WIDE, NAMESPACE, Kind
from tasks.kube.labels import MANAGED_BY, PART, RUN, Part, labelled, run_labels
from tasks.kube.refs import ObjectRef
from tasks.kube.safety import check_namespace

Manifest = dict[str, Any]
"""An object as the API shows it."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.:-]{0,251}[a-z0-9])?")
_TEMPLATES = (("spec", "template"), ("spec", "jobTemplate"), ("spec", "jobTemplate", "spec", "template"))
"""Where the metadata of what a controller makes stand: pods are found by their own labels."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a run may write, and what it may not."""

    run: str
    """Its id; the value of a label on everything that it makes."""
    namespaces: tuple[str, ...]
    """The only ones that are written to; the first is where an object goes that names none."""
    load_balancers: bool = False
    """Whether Services of type LoadBalancer are let through."""
    namespaces_made: bool = True
    """Whether namespaces that are not there are made, and removed in the end."""
    kinds: tuple[Kind, ...] = ()
    """Kinds that the run brings and that are in no table: without them nobody would look for what it has made of them."""


def prepared(manifests: Iterable[Mapping[str, Any]], bounds: Bounds, part: Part) -> tuple[Manifest, ...]:
    """
    *manifests* as they are applied: with a namespace, and with the labels of the run on them and on the pods that they make.

    Raises:
        PreflightError: At least one must not be, or cannot be; all of them are named, and nothing was written.
    """
    given = tuple(manifests)
    problems = list(dict.fromkeys(problem for one in given for problem in refusals(one, bounds)))
    made = () if problems else tuple(_prepared(one, bounds, part) for one in given)
    names = [str(ObjectRef.of(one)) for one in made]
    problems += [f"{name} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    if problems:
        raise PreflightError("; ".join(problems), next_step="mend the manifests; nothing was written")
    return made


def refusals(manifest: Mapping[str, Any], bounds: Bounds) -> Iterator[str]:
    """Why *manifest* is not written, a sentence each."""
    try:
        ref = ObjectRef.of(manifest)
    except ValueError as error:
        yield str(error)
        return
    if ref.kind in CLUSTER_WIDE or ref.kind == NAMESPACE:
        yield f"{ref} belongs to the whole cluster: a run writes in its namespaces only"
        return
    if not _NAME.fullmatch(ref.name):
        yield f"{ref.name!r} is no name for a {ref.kind}"
    yield from _outside(ref, bounds)
    if ref.kind == "Service" and not bounds.load_balancers:
        yield from _open_to_the_world(ref, manifest.get("spec") or {})


def _outside(ref: ObjectRef, bounds: Bounds) -> Iterator[str]:
    namespace = ref.namespace or bounds.namespaces[0]
    try:
        check_namespace(namespace)
    except DocumentError as error:
        yield f"{ref}: {error.message}"
        return
    if namespace not in bounds.namespaces:
        yield f"{ref}: {namespace} is none of the namespaces that the document names ({', '.join(bounds.namespaces)})"


def _open_to_the_world(ref: ObjectRef, spec: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("type") == "LoadBalancer":
        yield f"{ref} is a LoadBalancer, which may cost money and opens the app to the world; cluster.allow_load_balancers lets it through"
    if spec.get("externalIPs"):
        yield f"{ref} takes addresses of the network (externalIPs); cluster.allow_load_balancers lets it through"


def _prepared(manifest: Mapping[str, Any], bounds: Bounds, part: Part) -> Manifest:
    metadata = dict(manifest.get("metadata") or {})
    metadata.setdefault("namespace", bounds.namespaces[0])
    metadata["namespace"] = metadata["namespace"] or bounds.namespaces[0]
    own = (metadata.get("labels") or {}).get(PART, part)
    made = labelled({**manifest, "metadata": metadata}, bounds.run, own)
    made.pop("status", None)
    for path in _TEMPLATES:
        made = _with_labels(made, path, run_labels(bounds.run, own))
    return _encoded(made)


def _with_labels(value: Manifest, path: tuple[str, ...], labels: Mapping[str, str]) -> Manifest:
    """*value* with *labels* added to the metadata at *path*, where there is something."""
    if not path:
        metadata = dict(value.get("metadata") or {})
        return {**value, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}}
    inner = value.get(path[0])
    return {**value, path[0]: _with_labels(inner, path[1:], labels)} if isinstance(inner, dict) else value


def _encoded(manifest: Manifest) -> Manifest:
    """A Secret's ``stringData`` as the API keeps it, so that it can be compared with what is there."""
    texts = manifest.get("stringData")
    if manifest["kind"] != "Secret" or not isinstance(texts, dict):
        return manifest
    data = {name: base64.b64encode(str(text).encode()).decode() for name, text in texts.items()}
    return {name: value for name, value in manifest.items() if name != "stringData"} | {"data": {**(manifest.get("data") or {}), **data}}


def namespace_manifest(name: str, run: str) -> Manifest:
    """A namespace that *run* makes; its label says that it may be removed with it."""
    return labelled({"apiVersion": "v1", "kind": NAMESPACE, "metadata": {"name": name}}, run, "app")


def labels_of(found: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object."""
    return (found.get("metadata") or {}).get("labels") or {}


def made_by(found: Mapping[str, Any], run: str) -> bool:
    """Whether *found* was made by *run*, as its labels say."""
    labels = labels_of(found)
    return labels.get(MANAGED_BY) == "tidegauge" and labels.get(RUN) == run


def owner_of(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The controller that made *found*; None when nobody did but who applied it."""
    owners = (found.get("metadata") or {}).get("ownerReferences") or ()
    return next((one for one in owners if one.get("controller")), None)


def leaving(found: Mapping[str, Any]) -> bool:
    """Whether it was told to go."""
    return bool((found.get("metadata") or {}).get("deletionTimestamp"))
